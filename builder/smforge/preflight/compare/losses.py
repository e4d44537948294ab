"""What an arch list loses, seen by comparison. Pure: configurations in, findings out.

That a source is left out says nothing by itself (Machete is made for Hopper). It is a loss when
the sibling of a requested target would get it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from smforge.arch.coverage import cubin_runs_on, family, ptx_assembles_for
from smforge.arch.target import ComputeCapability, Suffix, Target
from smforge.arch.toolkits import Toolkit
from smforge.findings import Finding, Level, Location, Tally
from smforge.policy.excuses import Excuse, reason_for
from smforge.preflight.compare import single_list
from smforge.preflight.compare.wording import are_or_is, count, listed
from smforge.preflight.records import Configuration, Unit

Key = tuple[str, str, str]
"""Extension, source and label: what makes a unit the same in two configurations."""

_RANK = {Level.ERROR: 0, Level.WARNING: 1, Level.NOTE: 2}


class Reach(IntEnum):
    """How a unit reaches a device, the worst first."""

    NONE = 0
    PTX = 1
    NATIVE = 2


@dataclass(frozen=True, slots=True)
class Comparison:
    """Another configuration, and which of its targets stands for which requested one."""

    configuration: Configuration
    stands_for: tuple[tuple[Target, Target], ...]


def reach(unit: Unit, device: ComputeCapability) -> Reach:
    """How a unit's code runs on a device."""
    if any(cubin_runs_on(target, device) for target in unit.targets):
        return Reach.NATIVE
    if any(ptx_assembles_for(target, device) for target in unit.ptx):
        return Reach.PTX
    return Reach.NONE


def compare(
    configuration: Configuration,
    requested: Sequence[Target],
    comparisons: Sequence[Comparison],
    toolkit: Toolkit,
    excuses: Sequence[Excuse] = (),
) -> tuple[tuple[Finding, ...], Mapping[ComputeCapability, Tally]]:
    """Findings, the weightiest first, and the units per requested device."""
    findings = list(single_list.unknown_to_toolkit(configuration, requested, toolkit))
    if configuration.refusal is not None:
        findings.append(single_list.refused(configuration))
        return by_weight(findings), {}
    findings += single_list.without_comparison([one.configuration for one in comparisons])
    tallies: dict[ComputeCapability, Tally] = {}
    for target in requested:
        losses = _losses(configuration, target, comparisons)
        findings += _reduced(target, losses, excuses)
        findings += single_list.spelled(configuration, target)
        tallies[target.capability] = _tally(configuration, target.capability, losses)
        findings += _ptx_only(configuration, target, losses, excuses)
        findings += _narrowed(configuration, target, comparisons, excuses)
        findings += single_list.foreign(target, tallies[target.capability])
    findings += single_list.not_examined(configuration)
    findings += single_list.by_default(configuration)
    return by_weight(findings), tallies


def by_weight(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Errors, then warnings, then notes; within a level as they came."""
    return tuple(sorted(findings, key=lambda one: _RANK[one.level]))


@dataclass(frozen=True, slots=True)
class _Loss:
    key: Key
    now: Reach
    baseline: Target
    location: Location | None
    """Where the build description adds the source for the sibling."""
    helps: bool
    """Whether the sibling's code would run on the requested device."""
    instead: tuple[Target, ...]
    """What the source is compiled for where it is compiled, of the device's own major."""


def _losses(
    configuration: Configuration, target: Target, comparisons: Iterable[Comparison]
) -> dict[Key, _Loss]:
    """The units that a sibling runs natively and the requested target does not."""
    device = target.capability
    have = {_key(unit): unit for unit in configuration.units}
    losses: dict[Key, _Loss] = {}
    for comparison in comparisons:
        for stands_in in _siblings_of(target, comparison):
            for unit in comparison.configuration.units:
                ours = have.get(_key(unit))
                now = Reach.NONE if ours is None else reach(ours, device)
                if now < Reach.NATIVE and reach(unit, stands_in.capability) is Reach.NATIVE:
                    helps = reach(unit, device) is Reach.NATIVE
                    near = _of_major(ours, device.major)
                    loss = _Loss(_key(unit), now, stands_in, unit.location, helps, near)
                    losses.setdefault(loss.key, loss)
    return losses


def _of_major(unit: Unit | None, major: int) -> tuple[Target, ...]:
    targets = () if unit is None else unit.targets
    return tuple(one for one in targets if one.capability.major == major)


def _siblings_of(target: Target, comparison: Comparison) -> Iterator[Target]:
    """What stands for a target; code for a later device of the family says nothing about it."""
    for requested, stands_in in comparison.stands_for:
        if requested == target and stands_in.capability <= target.capability:
            yield stands_in


def _reduced(
    target: Target, losses: Mapping[Key, _Loss], excuses: Sequence[Excuse]
) -> Iterator[Finding]:
    groups: dict[tuple[object, ...], list[_Loss]] = defaultdict(list)
    for loss in losses.values():
        excused = _excused(loss.key, target.capability, excuses)
        alike = (loss.baseline, loss.now, loss.location, loss.helps, loss.instead, excused)
        groups[alike].append(loss)
    for group in groups.values():
        first, sources = group[0], [_name(loss.key) for loss in group]
        excused = _excused(first.key, target.capability, excuses)
        location = first.location
        where = "" if location is None else f" ({location})"
        yield Finding(
            rule="source-lost" if first.now is Reach.NONE else "source-ptx-only",
            level=Level.ERROR if excused is None else Level.NOTE,
            message=(
                f"{count(sources)} that {first.baseline} gets {are_or_is(sources)} "
                f"{_how(first, target)}{where}: {listed(sources)}."
            ),
            remedy=_remedy(target, first),
            device=target.capability,
            target=target,
            location=location,
            sources=tuple(sorted(set(sources))),
            excused=excused,
        )


def _how(loss: _Loss, target: Target) -> str:
    if loss.now is Reach.PTX:
        return f"compiled to PTX only for {target}"
    if loss.instead:
        names = " and ".join(map(str, loss.instead))
        return f"compiled for {names} instead of {target}, which {target.capability} cannot run"
    return f"not compiled for {target}"


def _remedy(target: Target, loss: _Loss) -> str:
    if loss.helps:
        code = f"the code it gives these sources runs on {target.capability}"
        return f"Ask for {loss.baseline} in place of {target}: {code}."
    return "Change the condition at that place in the build description, or allow the loss."


def _ptx_only(
    configuration: Configuration,
    target: Target,
    losses: Mapping[Key, _Loss],
    excuses: Sequence[Excuse],
) -> Iterator[Finding]:
    """Sources that reach the device as PTX, where the sibling fares no better."""
    groups: dict[str | None, list[str]] = defaultdict(list)
    for unit in configuration.units:
        if reach(unit, target.capability) is Reach.PTX and _key(unit) not in losses:
            excused = _excused(_key(unit), target.capability, excuses)
            groups[excused].append(_name(_key(unit)))
    for excused, sources in groups.items():
        yield Finding(
            rule="source-ptx-only",
            level=Level.WARNING if excused is None else Level.NOTE,
            message=(
                f"{count(sources)} {are_or_is(sources)} there for {target.capability} as PTX only: "
                f"{listed(sources)}."
            ),
            remedy="The driver assembles them when they are first loaded; it must know that PTX.",
            device=target.capability,
            target=target,
            sources=tuple(sorted(set(sources))),
            excused=excused,
        )


def _narrowed(
    configuration: Configuration,
    target: Target,
    comparisons: Sequence[Comparison],
    excuses: Sequence[Excuse],
) -> Iterator[Finding]:
    """Sources of a family-specific request whose code does not serve the whole family.

    Those are the ones compiled for its first device alone, and the ones that another device of
    the family gets when it is asked for itself.
    """
    if target.suffix is not Suffix.FAMILY_SPECIFIC:
        return
    have = {_key(unit): unit for unit in configuration.units}
    native = {key for key, unit in have.items() if reach(unit, target.capability) is Reach.NATIVE}
    for device in sorted(family(target) - {target.capability}):
        wanted = native | set(_asked_for(device, target, comparisons))
        groups: dict[str | None, list[str]] = defaultdict(list)
        for key in sorted(wanted):
            if key not in have or reach(have[key], device) < Reach.NATIVE:
                groups[_excused(key, device, excuses)].append(_name(key))
        for excused, short in groups.items():
            yield Finding(
                rule="family-narrowed",
                level=Level.WARNING if excused is None else Level.NOTE,
                message=(
                    f"{count(short)} asked for as {target} {are_or_is(short)} not compiled for "
                    f"all of its family and cannot run on {device} as machine code: "
                    f"{listed(short)}."
                ),
                remedy=f"Ask for {device} as well where it is used.",
                device=device,
                target=target,
                sources=tuple(sorted(set(short))),
                excused=excused,
            )


def _asked_for(
    device: ComputeCapability, target: Target, comparisons: Iterable[Comparison]
) -> Iterator[Key]:
    """What a device of the family gets when it is asked for in place of the family's target."""
    for comparison in comparisons:
        if any(old == target and new.capability == device for old, new in comparison.stands_for):
            for unit in comparison.configuration.units:
                if reach(unit, device) is Reach.NATIVE:
                    yield _key(unit)


def _tally(
    configuration: Configuration, device: ComputeCapability, losses: Mapping[Key, _Loss]
) -> Tally:
    reached = Counter(reach(unit, device) for unit in configuration.units)
    keys = {_key(unit) for unit in configuration.units}
    without = {_key(unit) for unit in configuration.units if reach(unit, device) is Reach.NONE}
    missing = sum(loss.now is Reach.NONE for loss in losses.values())
    lost_here = sum(key in keys and loss.now is Reach.NONE for key, loss in losses.items())
    return Tally(
        native=reached[Reach.NATIVE],
        ptx=reached[Reach.PTX],
        foreign=len(without) - lost_here,
        missing=missing,
    )


def _excused(key: Key, device: ComputeCapability, excuses: Iterable[Excuse]) -> str | None:
    return reason_for(excuses, key[0], key[1], device)


def _key(unit: Unit) -> Key:
    return unit.extension, unit.source, unit.label


def _name(key: Key) -> str:
    return key[2]
