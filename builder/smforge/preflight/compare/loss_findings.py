"""The findings about what devices lose, in words: one per cause. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from smforge.arch.target import Target
from smforge.findings import Finding, Level, Location
from smforge.policy.excuses import Excuse
from smforge.preflight.compare.causes import Cause, excuse_for
from smforge.preflight.compare.losses import DeviceLosses, Reach
from smforge.preflight.compare.wording import are_or_is, count, count_of, joined, listed

_NO_REMEDY = "Change the condition at that place in the build description, or excuse the loss."


@dataclass(frozen=True, slots=True)
class Remedy:
    """The remedy for a cause, or the members of the list behind it."""

    advice: str | None = None
    """A change that was tried and helps."""
    culprits: tuple[Target, ...] = ()
    """The members of the list that take the sources away."""


def finding_of(cause: Cause, remedy: Remedy, list_read: Location | None) -> Finding:
    """A cause in words; `list_read` is where the build description reads the list."""
    dropped = cause.rule == "arch-dropped"
    subject = cause.lost.subject
    needless = subject.required or cause.excused is not None
    message = _dropped(cause, list_read) if dropped else _reduced(cause, remedy)
    first = next(iter(cause.locations), None)
    return Finding(
        rule=cause.rule,
        level=cause.level,
        message=message if needless else f"{message} {subject.device} is not required.",
        remedy=_remedy(cause, remedy, _otherwise(cause) if dropped else _NO_REMEDY),
        device=subject.device,
        target=subject.target,
        location=(list_read or first) if dropped else first,
        sources=tuple(sorted(set(cause.names))),
        excused=cause.excused,
    )


def ptx_only(lost: DeviceLosses, excuses: Sequence[Excuse]) -> Iterator[Finding]:
    """Sources that reach a device as PTX, if no baseline gives machine code."""
    subject = lost.subject
    groups: dict[str | None, list[str]] = defaultdict(list)
    for key in lost.having(Reach.PTX):
        if key not in lost.losses:
            groups[excuse_for(key, lost, excuses)].append(key[2])
    for excused, sources in groups.items():
        yield Finding(
            rule="source-ptx-only",
            level=Level.WARNING if excused is None else Level.NOTE,
            message=(
                f"{count(sources)} {are_or_is(sources)} there for {subject.device} as PTX only: "
                f"{listed(sources)}."
            ),
            remedy="The driver assembles them when they are first loaded; it must know that PTX.",
            device=subject.device,
            target=subject.target,
            sources=tuple(sorted(set(sources))),
            excused=excused,
        )


def joined_by_cause(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings that say the same of several devices, as one."""
    groups: dict[object, list[Finding]] = {}
    for one in findings:
        same = (one.rule, one.level, one.location, one.sources, one.remedy, one.excused)
        groups.setdefault(same if one.sources else id(one), []).append(one)
    return tuple(map(_as_one, groups.values()))


def _as_one(findings: Sequence[Finding]) -> Finding:
    first, *others = findings
    if not others:
        return first
    devices = tuple(one.device for one in findings if one.device is not None)
    also = f" The same holds for {joined(devices[1:])}."
    return replace(first, devices=devices, message=f"{first.message}{also}")


def _reduced(cause: Cause, remedy: Remedy) -> str:
    alone = " alone" if cause.taken_away else ""
    baselines = joined(dict.fromkeys(loss.baseline.target for loss in cause.losses))
    beside = f" beside {joined(remedy.culprits)}" if remedy.culprits else ""
    return (
        f"{count(cause.names)} that {baselines} gets{alone} {are_or_is(cause.names)} "
        f"{_how(cause)}{beside}{_where(cause.locations)}: {listed(cause.names)}."
    )


def _how(cause: Cause) -> str:
    subject, first = cause.lost.subject, cause.losses[0]
    if first.now is Reach.PTX:
        return f"compiled to PTX only for {subject.name}"
    if first.instead:
        return (
            f"compiled for {joined(first.instead)} instead of {subject.name}, which "
            f"{subject.device} cannot run"
        )
    return f"not compiled for {subject.name}"


def _where(locations: Sequence[Location]) -> str:
    if not locations:
        return ""
    rest = len(locations) - 1
    more = f" and {rest} more place{'s' * (rest > 1)}" if rest else ""
    return f" ({locations[0]}{more})"


def _dropped(cause: Cause, list_read: Location | None) -> str:
    subject = cause.lost.subject
    ptx, none = (len(cause.lost.having(how)) for how in (Reach.PTX, Reach.NONE))
    said = [
        f"No source is compiled for {subject.name}: no machine code for {subject.device} comes out."
    ]
    if ptx:
        said.append(f"{count_of(ptx)} {'reaches' if ptx == 1 else 'reach'} it as PTX only.")
    others = sorted({target for loss in cause.losses for target in loss.instead})
    if others:
        number = sum(bool(loss.instead) for loss in cause.losses)
        said.append(
            f"{count_of(number)} that it could have {'is' if number == 1 else 'are'} compiled for "
            f"{joined(others)}, which it cannot run."
        )
    elif none:
        said.append(f"{count_of(none)} {'has' if none == 1 else 'have'} no code for it.")
    if list_read is not None:
        said.append(f"The list is read at {list_read}.")
    return " ".join(said)


def _otherwise(cause: Cause) -> str:
    """What is known of a device without machine code when no other list was found to help."""
    if cause.losses:
        target = cause.losses[0].baseline.target
        number = sum(loss.baseline.target == target for loss in cause.losses)
        return f"{target} alone gets {count_of(number)}: build it apart from this list."
    if cause.lost.compared_with:
        lists = joined(dict.fromkeys(one.target for one in cause.lost.compared_with))
        return f"It gets nothing from {lists} alone either: these sources do not serve it."
    return "No other list could be compared with; leave the device out."


def _remedy(cause: Cause, remedy: Remedy, otherwise: str) -> str:
    subject = cause.lost.subject
    if cause.excused is not None:
        return otherwise
    if remedy.advice is not None:
        return f"{remedy.advice}: it was tried, and {subject.device} then gets them."
    if remedy.culprits:
        return f"Build {subject.name} apart from {joined(remedy.culprits)}, or excuse the loss."
    return otherwise
