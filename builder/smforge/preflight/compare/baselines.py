"""Which other spelling of an arch list shows what a list loses.

A device's sibling is the first of its family (12.0 for 12.1, 10.0 for 10.3). What the sibling is
given in the two usual spellings, family-specific and plain, is what upstream's sources support;
the comparison shows what the list that was asked for does not get.
"""

from __future__ import annotations

from dataclasses import dataclass

from smforge.arch.coverage import family
from smforge.arch.devices import current_devices
from smforge.arch.grammar.torch_list import TorchEntry
from smforge.arch.target import ComputeCapability, Suffix, Target
from smforge.arch.toolkits import Toolkit


@dataclass(frozen=True, slots=True)
class Baseline:
    """A list to compare with, and for each requested target the one that stands in its place."""

    archs: tuple[TorchEntry, ...]
    stands_for: tuple[tuple[Target, Target], ...]
    """Pairs (requested, in the baseline)."""


def default_baselines(archs: tuple[TorchEntry, ...], toolkit: Toolkit) -> tuple[Baseline, ...]:
    """The list with every target in its sibling's specific form, and in its sibling's plain form.

    A spelling that is the list itself is left out.
    """
    specific = tuple(_specific(_sibling(entry.target), toolkit) for entry in archs)
    plain = tuple(Target(_sibling(entry.target)) for entry in archs)
    return tuple(
        _baseline(archs, targets)
        for targets in dict.fromkeys((specific, plain))
        if targets != tuple(entry.target for entry in archs)
    )


def member_baselines(archs: tuple[TorchEntry, ...], toolkit: Toolkit) -> tuple[Baseline, ...]:
    """The list with every target replaced by another member of its family, one list per member.

    For builds that make modules for each capability of a family, as FlashInfer's do: 12.0f is
    compared with 12.1a, and 12.1a with 12.0f.
    """
    columns = [_members(entry.target, toolkit) for entry in archs]
    lists = [
        tuple(column[min(position, len(column) - 1)] for column in columns)
        for position in range(max(map(len, columns), default=0))
    ]
    return tuple(
        _baseline(archs, targets)
        for targets in dict.fromkeys(lists)
        if targets != tuple(entry.target for entry in archs)
    )


def _members(target: Target, toolkit: Toolkit) -> list[Target]:
    """The first of the family in its family-specific form, the others in their own."""
    head = _sibling(target)
    others = sorted(family(Target(head, Suffix.FAMILY_SPECIFIC)) - {head})
    members = [_specific(head, toolkit), *(Target(one, Suffix.ARCH_SPECIFIC) for one in others)]
    known = [one for one in members if toolkit.knows(one) and one != target]
    return known or [target]


def named_baseline(archs: tuple[TorchEntry, ...], named: tuple[TorchEntry, ...]) -> Baseline:
    """A list that a user named: each target is compared with the nearest of its family.

    A target without relatives in the list is compared with nothing.
    """
    pairs = tuple(
        (entry.target, relative)
        for entry in archs
        if (relative := _relative(entry.target, named)) is not None
    )
    return Baseline(named, pairs)


def _baseline(archs: tuple[TorchEntry, ...], targets: tuple[Target, ...]) -> Baseline:
    entries = (TorchEntry(target, entry.ptx) for entry, target in zip(archs, targets, strict=True))
    pairs = tuple((entry.target, target) for entry, target in zip(archs, targets, strict=True))
    return Baseline(tuple(dict.fromkeys(entries)), pairs)


def _sibling(target: Target) -> ComputeCapability:
    """The lowest capability whose family-specific code runs on the target's device."""
    device = target.capability
    heads = [
        one
        for one in current_devices()
        if one.major == device.major and device in family(Target(one, Suffix.FAMILY_SPECIFIC))
    ]
    return min(heads, default=device)


def _specific(capability: ComputeCapability, toolkit: Toolkit) -> Target:
    for suffix in (Suffix.FAMILY_SPECIFIC, Suffix.ARCH_SPECIFIC):
        if toolkit.knows(target := Target(capability, suffix)):
            return target
    return Target(capability)


def _relative(target: Target, named: tuple[TorchEntry, ...]) -> Target | None:
    same = [one.target for one in named if one.target.capability.major == target.capability.major]
    return max((one for one in same if one.capability <= target.capability), default=None) or min(
        same, default=None
    )
