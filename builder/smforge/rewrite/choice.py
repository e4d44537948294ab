"""Which code objects of a region the kept devices need, and what has to be assembled for them.

The driver picks one object of a region for a device (docs/concepts.md). Whatever it may pick for a
kept device stays. This module reads and writes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from smforge.arch.coverage import ptx_assembles_for
from smforge.arch.picking import cubins_in_question
from smforge.arch.target import ComputeCapability, Target
from smforge.inventory.records import Kind

_DEVICE_CODE = frozenset({Kind.CUBIN, Kind.PTX})
"""Objects of every other kind are always kept, because the driver's use of them is not known."""


class Code(NamedTuple):
    """One code object, as the choice sees it."""

    kind: Kind
    target: Target


class Assembly(NamedTuple):
    """Machine code that is to be made from one PTX of a region."""

    ptx: int
    """The number of the PTX within its region."""
    target: Target


def needed(
    objects: Sequence[Code], devices: Sequence[ComputeCapability], *, keep_ptx: bool
) -> frozenset[int]:
    """Return the numbers of the objects that the devices need, and of those that always stay."""
    stay = {
        number
        for number, code in enumerate(objects)
        if code.kind not in _DEVICE_CODE or (keep_ptx and code.kind is Kind.PTX)
    }
    for device in devices:
        stay.update(_picked(objects, device))
    return frozenset(stay)


def assemblies(
    objects: Sequence[Code], devices: Sequence[ComputeCapability]
) -> tuple[Assembly, ...]:
    """Return what has to be made so that no device depends on PTX that could be assembled before.

    Devices are served from the lowest on: machine code for 12.0 also serves 12.1.
    """
    made: list[Assembly] = []
    cubins = [code.target for code in objects if code.kind is Kind.CUBIN]
    for device in sorted(devices):
        if cubins_in_question([*cubins, *(one.target for one in made)], device):
            continue
        texts = [(objects[number].target, number) for number in _texts(objects, device)]
        if texts:
            # The newest text was written for the nearest device.
            text, number = max(texts)
            made.append(Assembly(number, Target(device, text.suffix)))
    return tuple(made)


def _picked(objects: Sequence[Code], device: ComputeCapability) -> set[int]:
    """The numbers of the objects of which the driver picks one for a device."""
    cubins = cubins_in_question(
        [code.target for code in objects if code.kind is Kind.CUBIN], device
    )
    if cubins:
        return {
            number
            for number, code in enumerate(objects)
            if code.kind is Kind.CUBIN and code.target in cubins
        }
    return _texts(objects, device)


def _texts(objects: Sequence[Code], device: ComputeCapability) -> set[int]:
    """The numbers of the PTX that can be assembled for a device."""
    return {
        number
        for number, code in enumerate(objects)
        if code.kind is Kind.PTX and ptx_assembles_for(code.target, device)
    }
