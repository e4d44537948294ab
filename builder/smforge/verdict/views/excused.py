"""Which kernels of a file are excused on which device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from smforge.arch.target import ComputeCapability
from smforge.policy.excuses import Excuse
from smforge.verdict.kernels import KernelGroup
from smforge.verdict.names import demangle
from smforge.verdict.reach import EXCUSABLE, Reach
from smforge.verdict.request import AuditRequest
from smforge.verdict.views.shapes import ShapeView


@dataclass(frozen=True, slots=True)
class Excused:
    """A kernel that would otherwise count against the file, and the excuses that cover it."""

    kernel: str
    group: int
    """The position of its group: a kernel of the same name that is embedded as other code is
    another kernel."""
    excuses: tuple[Excuse, ...]


ExcusedKernels = Mapping[ComputeCapability, tuple[Excused, ...]]
"""The excused kernels of one file, for each device that has any."""


def excused_kernels(
    path: str, groups: tuple[KernelGroup, ...], seen: ShapeView, request: AuditRequest
) -> ExcusedKernels:
    """Find the kernels of a file that an excuse covers."""
    if not (seen.excusable and request.excuses):
        return {}

    @cache  # For all devices: matching patterns takes time.
    def covering(kernel: str) -> tuple[Excuse, ...]:
        return tuple(one for one in request.excuses if one.covers(kernel, path, demangle))

    found = {}
    for device, positions in seen.excusable:
        excused = tuple(
            Excused(name, position, holding)
            for position in positions
            if (possible := _possible(request, device, groups[position], seen, position))
            for name in groups[position].names
            if (holding := tuple(one for one in covering(name) if one in possible))
        )
        if excused:
            found[device] = excused
    return found


def _possible(
    request: AuditRequest,
    device: ComputeCapability,
    group: KernelGroup,
    seen: ShapeView,
    position: int,
) -> tuple[Excuse, ...]:
    """The excuses that hold for a device, and for code that is embedded and reaches it so."""
    how, targets = seen.reaches[device][position], group.embedded.targets
    return tuple(
        one
        for one in request.excuses
        if one.holds(device, request.today) and excuses(one, how) and one.fits(targets)
    )


def excuses(excuse: Excuse, how: Reach) -> bool:
    """Whether an excuse is for kernels that reach a device in this way."""
    return any(how in EXCUSABLE[state] for state in excuse.states)
