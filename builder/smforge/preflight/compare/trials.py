"""Other lists that would give a device what it loses. Pure.

A remedy is offered only where the list that it leads to was configured, gives the device its
sources and takes nothing from another device of the list.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from smforge.arch.grammar.torch_list import TorchEntry
from smforge.arch.target import Target
from smforge.arch.toolkits import Toolkit
from smforge.preflight.compare.baselines import head_of, specific
from smforge.preflight.compare.causes import Cause
from smforge.preflight.compare.losses import DeviceLosses, Reach, reaches_of
from smforge.preflight.compare.wording import joined
from smforge.preflight.records import Configuration

Archs = tuple[TorchEntry, ...]
Answers = Mapping[Archs, Configuration]
"""What the sources make of lists; a list that was not tried is not in it."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A list to try in place of the list that was asked for."""

    archs: Archs
    advice: str
    """What to do to get it: ``Ask for 12.0f in place of 12.1a``."""


def trials_of(archs: Archs, cause: Cause, toolkit: Toolkit) -> tuple[Trial, ...]:
    """The lists that may give a device what it loses, the smallest change first.

    An excused loss needs no remedy.
    """
    if cause.excused is not None:
        return ()
    return tuple(
        Trial(changed, text)
        for changed, text in dict.fromkeys(
            (
                *_of_device(archs, cause),
                *_of_family(archs, cause, toolkit),
            )
        )
        if changed != archs and all(toolkit.knows(one.target) for one in set(changed) - set(archs))
    )


def pairs_of(archs: Archs, cause: Cause) -> tuple[tuple[Target, Archs], ...]:
    """A device's own target beside each other member of the list, the nearest member first."""
    if cause.excused is not None or not cause.taken_away:
        return ()
    subject = cause.lost.subject
    others = sorted(
        (one for one in archs if one.target not in subject.asked),
        key=lambda one: abs(one.target.capability.number - subject.device.number),
    )
    return tuple(
        (other.target, tuple(one for one in archs if one in {other, own}))
        for own in archs
        if own.target in subject.asked
        for other in others
    )


def takes_away(cause: Cause, beside: Configuration | None) -> bool:
    """Whether a device gets none of its sources beside another member of the list."""
    if beside is None or beside.refusal is not None:
        return False
    reaches = reaches_of(beside, cause.lost.subject.device)
    return all(reaches.get(key, Reach.NONE) < Reach.NATIVE for key in cause.keys)


def advice(
    cause: Cause, trials: Iterable[Trial], answers: Answers, devices: Iterable[DeviceLosses]
) -> str | None:
    """What gives a device its sources and takes none from `devices`, as far as it was tried."""
    judged = tuple(devices)
    for trial in trials:
        answer = answers.get(trial.archs)
        if answer is None or answer.refusal is not None:
            continue
        reaches = reaches_of(answer, cause.lost.subject.device)
        if all(reaches.get(key) is Reach.NATIVE for key in cause.keys) and all(
            _spares(answer, one) for one in judged
        ):
            return trial.advice
    return None


def _spares(answer: Configuration, before: DeviceLosses) -> bool:
    """Whether a list takes no machine code from a device."""
    reaches = reaches_of(answer, before.subject.device)
    return all(reaches.get(key) is Reach.NATIVE for key in before.having(Reach.NATIVE))


def _of_device(archs: Archs, cause: Cause) -> Iterator[tuple[Archs, str]]:
    """The list with a baseline's target in place of the device's own, or beside it."""
    asked = cause.lost.subject.asked
    targets = dict.fromkeys(loss.baseline.target for loss in cause.losses if loss.helps)
    for target in targets:
        if asked and target not in asked:
            yield _replaced(archs, asked, target), _in_place(target, asked)
        if target not in asked:
            yield (*archs, TorchEntry(target)), f"Add {target} to the list"


def _of_family(archs: Archs, cause: Cause, toolkit: Toolkit) -> Iterator[tuple[Archs, str]]:
    """The list with the family's own target in place of all its members."""
    head = head_of(cause.lost.subject.device)
    target = specific(head, toolkit)
    members = tuple(
        dict.fromkeys(one.target for one in archs if head_of(one.target.capability) == head)
    )
    if cause.losses and members and members != (target,):
        yield _replaced(archs, members, target), _in_place(target, members)


def _replaced(archs: Archs, old: Collection[Target], new: Target) -> Archs:
    entries = (TorchEntry(new, one.ptx) if one.target in old else one for one in archs)
    return tuple(dict.fromkeys(entries))


def _in_place(new: Target, old: Iterable[Target]) -> str:
    return f"Ask for {new} in place of {joined(one for one in old if one != new)}"
