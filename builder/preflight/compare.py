"""What an arch list loses, seen by comparison. Pure: configurations in, findings out.

That a source is left out says nothing by itself (Machete is made for Hopper). It is a loss when
the sibling of a requested target would get it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from fnmatch import fnmatchcase

from builder.arch.coverage import cubin_runs_on, family, ptx_assembles_for
from builder.arch.target import ComputeCapability, Suffix, Target
from builder.arch.toolkits import Toolkit, explain_unknown
from builder.preflight.records import (
    Configuration,
    DeviceTally,
    Finding,
    Level,
    Location,
    Unit,
)

Key = tuple[str, str, str]
"""Extension, source and label: what makes a unit the same in two configurations."""

_NAMES_SHOWN = 6
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


@dataclass(frozen=True, slots=True)
class Allowance:
    """Sources whose loss is known and accepted."""

    pattern: str
    """A glob over the source's path, or over ``EXTENSION/SOURCE``."""
    reason: str


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
    allowances: Sequence[Allowance] = (),
) -> tuple[tuple[Finding, ...], Mapping[ComputeCapability, DeviceTally]]:
    """Findings, the weightiest first, and the units per requested device."""
    findings = list(_unknown_to_toolkit(configuration, requested, toolkit))
    if configuration.refusal is not None:
        findings.append(_refused(configuration))
        return by_weight(findings), {}
    findings += _without_comparison(comparisons)
    tallies: dict[ComputeCapability, DeviceTally] = {}
    for target in requested:
        losses = _losses(configuration, target, comparisons)
        findings += _reduced(target, losses, allowances)
        findings += _spelled(configuration, target)
        tallies[target.capability] = _tally(configuration, target.capability, losses)
        findings += _ptx_only(configuration, target, losses, allowances)
        findings += _narrowed(configuration, target, comparisons, allowances)
        findings += _foreign(target, tallies[target.capability])
    findings += _not_examined(configuration)
    findings += _by_default(configuration)
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


def _losses(
    configuration: Configuration, target: Target, comparisons: Iterable[Comparison]
) -> dict[Key, _Loss]:
    """The units that a sibling runs natively and the requested target does not."""
    device = target.capability
    have = {_key(unit): reach(unit, device) for unit in configuration.units}
    losses: dict[Key, _Loss] = {}
    for comparison in comparisons:
        for stands_in in _siblings_of(target, comparison):
            for unit in comparison.configuration.units:
                now = have.get(_key(unit), Reach.NONE)
                if now < Reach.NATIVE and reach(unit, stands_in.capability) is Reach.NATIVE:
                    helps = reach(unit, device) is Reach.NATIVE
                    loss = _Loss(_key(unit), now, stands_in, unit.location, helps)
                    losses.setdefault(loss.key, loss)
    return losses


def _siblings_of(target: Target, comparison: Comparison) -> Iterator[Target]:
    """What stands for a target; code for a later device of the family says nothing about it."""
    for requested, stands_in in comparison.stands_for:
        if requested == target and stands_in.capability <= target.capability:
            yield stands_in


def _reduced(
    target: Target, losses: Mapping[Key, _Loss], allowances: Sequence[Allowance]
) -> Iterator[Finding]:
    groups: dict[tuple[object, ...], list[_Loss]] = defaultdict(list)
    for loss in losses.values():
        allowed = _allowed(loss.key, allowances)
        groups[loss.baseline, loss.now, loss.location, loss.helps, allowed].append(loss)
    for group in groups.values():
        first, sources = group[0], [_name(loss.key) for loss in group]
        allowed, location = _allowed(first.key, allowances), first.location
        where = "" if location is None else f" ({location})"
        gone = first.now is Reach.NONE
        yield Finding(
            rule="source-lost" if gone else "source-ptx-only",
            level=Level.ERROR if allowed is None else Level.NOTE,
            message=(
                f"{_count(sources)} that {first.baseline} gets {_are(sources)} "
                f"{'not compiled' if gone else 'compiled to PTX only'} for {target}{where}: "
                f"{_listed(sources)}."
            ),
            remedy=_remedy(target, first),
            device=target.capability,
            target=target,
            location=location,
            sources=tuple(sorted(set(sources))),
            allowed=allowed,
        )


def _remedy(target: Target, loss: _Loss) -> str:
    if loss.helps:
        code = f"the code it gives these sources runs on {target.capability}"
        return f"Ask for {loss.baseline} in place of {target}: {code}."
    return "Change the condition at that place in the build description, or allow the loss."


def _ptx_only(
    configuration: Configuration,
    target: Target,
    losses: Mapping[Key, _Loss],
    allowances: Sequence[Allowance],
) -> Iterator[Finding]:
    """Sources that reach the device as PTX, where the sibling fares no better."""
    groups: dict[str | None, list[str]] = defaultdict(list)
    for unit in configuration.units:
        if reach(unit, target.capability) is Reach.PTX and _key(unit) not in losses:
            groups[_allowed(_key(unit), allowances)].append(_name(_key(unit)))
    for allowed, sources in groups.items():
        yield Finding(
            rule="source-ptx-only",
            level=Level.WARNING if allowed is None else Level.NOTE,
            message=(
                f"{_count(sources)} {_are(sources)} there for {target.capability} as PTX only: "
                f"{_listed(sources)}."
            ),
            remedy="The driver assembles them when they are first loaded; it must know that PTX.",
            device=target.capability,
            target=target,
            sources=tuple(sorted(set(sources))),
            allowed=allowed,
        )


def _spelled(configuration: Configuration, target: Target) -> Iterator[Finding]:
    """Whether a requested target survives the build description, and as what."""
    device = target.capability
    natives = Counter(
        one for unit in configuration.units for one in unit.targets if cubin_runs_on(one, device)
    )
    if not natives:
        yield Finding(
            rule="arch-dropped",
            level=Level.ERROR,
            message=f"No source is compiled for {target}: no machine code for {device} comes out.",
            remedy="See the skips for where the build description drops it.",
            device=device,
            target=target,
        )
    elif target not in natives:
        spelled = ", ".join(f"{one} in {_count_of(n)}" for one, n in natives.most_common())
        yield Finding(
            rule="arch-collapsed",
            level=Level.NOTE,
            message=f"Nothing is compiled as {target}: its device is served by {spelled}.",
            remedy=f"Do not require the target {target} of the result; require the device.",
            device=device,
            target=target,
        )


def _narrowed(
    configuration: Configuration,
    target: Target,
    comparisons: Sequence[Comparison],
    allowances: Sequence[Allowance],
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
        for key in wanted:
            if key not in have or reach(have[key], device) < Reach.NATIVE:
                groups[_allowed(key, allowances)].append(_name(key))
        for allowed, short in groups.items():
            yield Finding(
                rule="family-narrowed",
                level=Level.WARNING if allowed is None else Level.NOTE,
                message=(
                    f"{_count(short)} asked for as {target} {_are(short)} not compiled for all of "
                    f"its family and cannot run on {device} as machine code: {_listed(short)}."
                ),
                remedy=f"Ask for {device} as well where it is used.",
                device=device,
                target=target,
                sources=tuple(sorted(set(short))),
                allowed=allowed,
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


def _foreign(target: Target, tally: DeviceTally) -> Iterator[Finding]:
    if tally.foreign:
        yield Finding(
            rule="source-foreign",
            level=Level.NOTE,
            message=(
                f"{_count_of(tally.foreign)} have no code for {target.capability}, "
                "nor does its sibling get them: they are made for other devices."
            ),
            device=target.capability,
            target=target,
        )


def _tally(
    configuration: Configuration, device: ComputeCapability, losses: Mapping[Key, _Loss]
) -> DeviceTally:
    reached = Counter(reach(unit, device) for unit in configuration.units)
    keys = {_key(unit) for unit in configuration.units}
    without = {_key(unit) for unit in configuration.units if reach(unit, device) is Reach.NONE}
    missing = sum(loss.now is Reach.NONE for loss in losses.values())
    lost_here = sum(key in keys and loss.now is Reach.NONE for key, loss in losses.items())
    return DeviceTally(
        native=reached[Reach.NATIVE],
        ptx=reached[Reach.PTX],
        foreign=len(without) - lost_here,
        missing=missing,
    )


def _unknown_to_toolkit(
    configuration: Configuration, requested: Iterable[Target], toolkit: Toolkit
) -> Iterator[Finding]:
    for target in requested:
        if not toolkit.knows(target):
            reason, remedy = explain_unknown(toolkit, target)
            yield Finding(
                "toolkit-lacks-target", Level.ERROR, reason, remedy, target.capability, target
            )
    compiled: dict[Target, list[str]] = defaultdict(list)
    for unit in configuration.units:
        for target in {*unit.targets, *unit.ptx}:
            if not toolkit.knows(target):
                compiled[target].append(unit.label)
    for target, sources in sorted(compiled.items()):
        yield Finding(
            rule="compiler-refuses-target",
            level=Level.ERROR,
            message=(
                f"{_count(sources)} are to be compiled for {target}, which {toolkit} does not "
                f"know, so nvcc will stop: {_listed(sources)}."
            ),
            remedy=explain_unknown(toolkit, target)[1],
            target=target,
            sources=tuple(sorted(set(sources))),
        )


def _refused(configuration: Configuration) -> Finding:
    refusal = configuration.refusal
    assert refusal is not None
    return Finding(
        rule="build-refused",
        level=Level.ERROR,
        message=f"The build stops while it configures: {refusal.message}",
        remedy="Ask for other architectures or another toolkit.",
        location=refusal.location,
    )


def _without_comparison(comparisons: Sequence[Comparison]) -> Iterator[Finding]:
    for one in comparisons:
        if one.configuration.refusal is not None:
            yield Finding(
                rule="baseline-refused",
                level=Level.NOTE,
                message=(
                    f"The list {one.configuration.archs!r} cannot be compared with: "
                    f"{one.configuration.refusal.message}"
                ),
            )
    if comparisons and all(one.configuration.refusal is not None for one in comparisons):
        yield Finding(
            rule="not-compared",
            level=Level.WARNING,
            message="No baseline could be configured, so what the list loses is not known.",
            remedy="Name a list that these sources accept: --baseline.",
        )


def _not_examined(configuration: Configuration) -> Iterator[Finding]:
    for external in configuration.not_examined:
        named = (
            f"; {_count_of(external.named_sources)} that the tree itself names are among the units"
            if external.named_sources
            else ""
        )
        yield Finding(
            rule="not-examined",
            level=Level.NOTE,
            message=f"{external.name} was not there to look at{named}.",
            remedy=f"Give a checkout: --external {external.name}=DIR.",
            location=external.location,
        )


def _by_default(configuration: Configuration) -> Iterator[Finding]:
    sources = [unit.label for unit in configuration.units if not unit.gencode]
    if sources:
        default = ", ".join(
            {str(one) for u in configuration.units if not u.gencode for one in u.targets}
        )
        yield Finding(
            rule="arch-by-default",
            level=Level.WARNING,
            message=(
                f"{_count(sources)} {_are(sources)} given no architecture by the build "
                f"description, so nvcc takes its own default ({default}): {_listed(sources)}."
            ),
            sources=tuple(sorted(set(sources))),
        )


def _allowed(key: Key, allowances: Iterable[Allowance]) -> str | None:
    names = (key[1], f"{key[0]}/{key[1]}")
    matching = (a.reason for a in allowances if any(fnmatchcase(n, a.pattern) for n in names))
    return next(matching, None)


def _key(unit: Unit) -> Key:
    return unit.extension, unit.source, unit.label


def _name(key: Key) -> str:
    return key[2]


def _count(sources: Sequence[str]) -> str:
    return _count_of(len(sources))


def _count_of(number: int) -> str:
    return "1 source" if number == 1 else f"{number} sources"


def _are(sources: Sequence[str]) -> str:
    return "is" if len(sources) == 1 else "are"


def _listed(sources: Iterable[str]) -> str:
    names = sorted(set(sources))
    shown = ", ".join(names[:_NAMES_SHOWN])
    rest = len(names) - _NAMES_SHOWN
    return f"{shown} and {rest} more" if rest > 0 else shown
