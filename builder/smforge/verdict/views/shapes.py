"""How code of one shape reaches each device.

Thousands of files of one subject are embedded alike, so this is computed once for each shape.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from smforge.arch.drivers import DriverVersion
from smforge.arch.target import ComputeCapability
from smforge.findings import Tally
from smforge.verdict.kernels import Embedded
from smforge.verdict.reach import CANNOT_RUN, EXCUSABLE, NOT_KNOWN, SERVED_ELSEWHERE, Reach, reach
from smforge.verdict.views.arch_packages import Parts, as_part

Shape = tuple[tuple[Embedded, int], ...]
"""What the groups of a file are embedded as, and how many kernels each has."""

_EXCUSABLE = frozenset(how for several in EXCUSABLE.values() for how in several)


@dataclass(frozen=True, slots=True)
class ShapeView:
    """One shape, seen from every device in question."""

    reaches: Mapping[ComputeCapability, tuple[Reach, ...]]
    """How each group reaches the device."""
    tallies: Mapping[ComputeCapability, Tally]
    excusable: tuple[tuple[ComputeCapability, tuple[int, ...]], ...]
    """The devices on which an excuse may matter, with the groups that it may matter for."""


@lru_cache(maxsize=4096)
def view_shape(
    shape: Shape,
    devices: tuple[ComputeCapability, ...],
    driver: DriverVersion | None,
    parts: Parts,
) -> ShapeView:
    """View a shape from each of `devices`; `parts` says which devices other packages serve."""
    part_for = dict(parts)
    reaches = {
        device: tuple(
            as_part(reach(embedded, device, driver), part_for.get(device)) for embedded, _ in shape
        )
        for device in devices
    }
    return ShapeView(
        reaches,
        {device: _tally(shape, found) for device, found in reaches.items()},
        tuple(
            (device, positions)
            for device, found in reaches.items()
            if (positions := tuple(i for i, how in enumerate(found) if how in _EXCUSABLE))
        ),
    )


def _tally(shape: Shape, reaches: tuple[Reach, ...]) -> Tally:
    counts = Counter[Reach]()
    for how, (_, count) in zip(reaches, shape, strict=True):
        counts[how] += count
    return Tally(
        native=counts[Reach.NATIVE],
        ptx=counts[Reach.PTX] + counts[Reach.PTX_UNSURE],
        foreign=sum(counts[one] for one in SERVED_ELSEWHERE),
        missing=sum(counts[one] for one in CANNOT_RUN),
        unreachable=counts[Reach.UNREACHABLE],
        unclear=sum(counts[one] for one in NOT_KNOWN),
    )
