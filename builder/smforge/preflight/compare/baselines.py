"""Chooses other lists that show what a device could get from the sources.

Every baseline is one target alone, so that no other member of the list decides what
it gets. A device is compared with

- its own target alone: what another member of the list takes away;
- the first device of its family (12.0 for 12.1, 10.0 for 10.3) in the two usual spellings,
  family-specific and plain: what the sources support for the family;
- the earlier devices of its major version, where it has no family (8.0 and 8.6 for 8.7 and 8.9).
  Their sources are compared; whether their machine code would run is another question.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from smforge.arch.coverage import family
from smforge.arch.devices import current_devices, find_device
from smforge.arch.grammar.torch_list import TorchEntry
from smforge.arch.target import ComputeCapability, Suffix, Target
from smforge.arch.toolkits import Toolkit

Spell = Callable[[ComputeCapability], tuple[Target, ...]]
"""The targets that people write for a device: ``12.1`` and ``12.1a``."""


class Kind(StrEnum):
    """How a baseline is related to the device."""

    ALONE = "alone"
    """The device's own target."""
    FAMILY = "family"
    """The first device of its family."""
    EARLIER = "earlier"
    """An earlier device of its major version, whose machine code it need not run."""
    NAMED = "named"
    """A list that a user named."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """A list to compare one device with."""

    archs: tuple[TorchEntry, ...]
    target: Target
    """The target of that list whose sources are compared."""
    kind: Kind


def baselines_of(
    device: ComputeCapability, asked: Iterable[Target], toolkit: Toolkit, spell: Spell
) -> tuple[Baseline, ...]:
    """The baselines of a device, its own first. `asked` are its targets in the list.

    A device that the list does not name has the targets that people write for it.
    """
    own = tuple(asked) or spell(device)
    found = dict.fromkeys(own, Kind.ALONE)
    for target in _heads(device, toolkit, spell):
        found.setdefault(target, Kind.FAMILY)
    for earlier in _earlier(device):
        for target in spell(earlier):
            found.setdefault(target, Kind.EARLIER)
    return tuple(
        Baseline((TorchEntry(target),), target, kind)
        for target, kind in found.items()
        if toolkit.knows(target)
    )


def named_baselines(
    device: ComputeCapability, named: Iterable[tuple[TorchEntry, ...]]
) -> tuple[Baseline, ...]:
    """Lists that a user named, each with the nearest target of the device's major version.

    Code for a later device says nothing about an earlier one, so a list of later targets is no
    baseline for a device.
    """
    return tuple(
        Baseline(archs, nearest, Kind.NAMED)
        for archs in named
        if (nearest := _nearest(device, archs)) is not None
    )


def family_members(target: Target, toolkit: Toolkit) -> tuple[Baseline, ...]:
    """The other devices of a family-specific target's family, each asked for by itself.

    For builds that make modules for each device of a family, as FlashInfer's do.
    """
    if target.suffix is not Suffix.FAMILY_SPECIFIC:
        return ()
    others = sorted(family(target) - {target.capability})
    targets = (Target(one, Suffix.ARCH_SPECIFIC) for one in others)
    return tuple(
        Baseline((TorchEntry(one),), one, Kind.ALONE) for one in targets if toolkit.knows(one)
    )


def head_of(device: ComputeCapability) -> ComputeCapability:
    """The first device whose family-specific code runs on a device; itself where it has none."""
    heads = [
        one
        for one in current_devices()
        if one.major == device.major and device in family(Target(one, Suffix.FAMILY_SPECIFIC))
    ]
    return min(heads, default=device)


def specific(capability: ComputeCapability, toolkit: Toolkit) -> Target:
    """A capability's family-specific target, else its specific one, as the toolkit knows them."""
    for suffix in (Suffix.FAMILY_SPECIFIC, Suffix.ARCH_SPECIFIC):
        if toolkit.knows(target := Target(capability, suffix)):
            return target
    return Target(capability)


def _heads(device: ComputeCapability, toolkit: Toolkit, spell: Spell) -> Iterator[Target]:
    head = head_of(device)
    yield specific(head, toolkit)
    yield from (one for one in spell(head) if one.suffix is Suffix.PLAIN)


def _earlier(device: ComputeCapability) -> Iterator[ComputeCapability]:
    """Earlier devices of a major version without families; Tegra's are made for themselves."""
    if head_of(device) != device:
        return
    for one in current_devices():
        known = find_device(one)
        if one.major == device.major and one < device and known is not None and not known.tegra:
            yield one


def _nearest(device: ComputeCapability, archs: Iterable[TorchEntry]) -> Target | None:
    same = (one.target for one in archs if one.target.capability.major == device.major)
    return max((one for one in same if one.capability <= device), default=None)
