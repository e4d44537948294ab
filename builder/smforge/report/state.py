"""The state of a cell, a library or a subject on one device, decided here for every format.

Each item of a cell is counted once: what a policy excuses is counted as excused, not as missing
or PTX as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from enum import StrEnum
from operator import attrgetter
from typing import TypeVar

from smforge.findings import Tally
from smforge.report import model


class State(StrEnum):
    """How the items of a cell run on its device."""

    NATIVE = "native"
    """All that is meant for the device runs from machine code."""
    PTX = "ptx"
    """All of it runs, part of it only after the driver has assembled PTX."""
    PARTIAL = "partial"
    """Part of it cannot run."""
    NONE = "none"
    """Nothing of it can run."""
    EXCUSED = "excused"
    """Nothing of it can run, and a policy excuses all of that."""
    FOREIGN = "foreign"
    """Made for other devices, by design."""
    UNREACHABLE = "unreachable"
    """No host code can launch it on any device."""
    UNCLEAR = "unclear"
    """Whether it runs depends on a suffix that the file does not record."""
    EMPTY = "empty"
    """There is nothing to judge."""


@dataclass(frozen=True, slots=True)
class Shown:
    """How a state is shown."""

    mark: str
    """One character."""
    word: str
    meaning: str
    """A few words, for a legend."""


SHOWN = {
    State.NATIVE: Shown("●", "native", "native"),
    State.PTX: Shown("P", "PTX", "part from PTX"),
    State.PARTIAL: Shown("◐", "partial", "kernels missing"),
    State.NONE: Shown("✗", "none", "nothing runs"),
    State.EXCUSED: Shown("e", "excused", "excused"),
    State.FOREIGN: Shown("-", "for others", "made for other devices"),
    State.UNREACHABLE: Shown("u", "unreachable", "no host code launches it"),
    State.UNCLEAR: Shown("?", "not known", "not known"),
    State.EMPTY: Shown(" ", "", "nothing to judge"),
}
"""Every state, the order being that of a legend."""


@dataclass(frozen=True, slots=True)
class Counts:
    """The items of a cell (kernels, regions, sources), each counted once."""

    native: int = 0
    ptx: int = 0
    foreign: int = 0
    missing: int = 0
    unreachable: int = 0
    unclear: int = 0
    excused: int = 0
    """They cannot run, and a policy excuses it."""
    excused_ptx: int = 0
    """They run from PTX alone, and a policy excuses it."""

    @property
    def all_excused(self) -> int:
        """All that a policy excuses."""
        return self.excused + self.excused_ptx

    @property
    def total(self) -> int:
        return sum(getattr(self, one.name) for one in fields(self))


_NUMBERS = attrgetter(*(one.name for one in fields(Counts)))
_Tally = TypeVar("_Tally", Tally, model.Tally)


def counted(tally: Tally) -> Counts:
    """Count each item of a tally once."""
    return Counts(
        native=tally.native,
        ptx=tally.ptx - tally.ptx_excused,
        foreign=tally.foreign,
        missing=tally.missing - tally.unclear - tally.missing_excused,
        unreachable=tally.unreachable,
        unclear=tally.unclear,
        excused=tally.missing_excused,
        excused_ptx=tally.ptx_excused,
    )


def counts_of(tally: model.Tally) -> Counts:
    """Count each item of a report's tally once."""
    # Reports saved by older releases do not say how many of the excused ones run from PTX.
    ptx_excused = max(tally.exempt_ptx, tally.exempt - tally.missing)
    return counted(
        Tally(
            native=tally.native,
            ptx=tally.ptx,
            foreign=tally.foreign,
            missing=tally.missing,
            unreachable=tally.unreachable,
            missing_excused=tally.exempt - ptx_excused,
            ptx_excused=ptx_excused,
            unclear=tally.unclear,
        )
    )


def together(cells: Iterable[Counts]) -> Counts:
    """The counts of several cells of one device."""
    columns = zip(*map(_NUMBERS, cells), strict=True)
    return Counts(*(sum(numbers) for numbers in columns))


def total_of(tallies: Iterable[_Tally], count: Callable[[_Tally], Counts]) -> Counts:
    """The counts of many tallies, of which thousands are one and the same object."""
    times: dict[int, int] = {}
    known: dict[int, _Tally] = {}
    for tally in tallies:
        times[id(tally)] = times.get(id(tally), 0) + 1
        known[id(tally)] = tally
    counted_once = ((_NUMBERS(count(tally)), times[key]) for key, tally in known.items())
    return together(Counts(*(one * number for one in numbers)) for numbers, number in counted_once)


def state_of(counts: Counts) -> State:
    """The state of a cell."""
    runs = counts.native + counts.ptx + counts.excused_ptx
    if counts.missing:
        return State.PARTIAL if runs else State.NONE
    if counts.unclear:
        return State.UNCLEAR
    if not runs:
        if counts.excused:
            return State.EXCUSED
        if counts.foreign:
            return State.FOREIGN
        return State.UNREACHABLE if counts.unreachable else State.EMPTY
    return State.PTX if counts.ptx or not counts.native else State.NATIVE


def device_state(verdict: str, counts: Counts) -> State:
    """The state of a whole subject on a device, of which the audit said `verdict`.

    It differs from the verdict where there is nothing to judge, and where all that may be missing
    depends on what a file does not record: then it is not known that anything is missing.
    """
    if not counts.total:
        return State.EMPTY
    found = State(verdict)
    unknown = counts.unclear and not counts.missing
    return State.UNCLEAR if unknown and found in {State.NONE, State.PARTIAL} else found


def brief(counts: Counts) -> str:
    """A cell in a mark and a few words: ``◐ 12 missing, 3 excused``."""
    state = state_of(counts)
    number, word = {
        State.PTX: (counts.ptx, "PTX"),
        State.PARTIAL: (counts.missing, "missing"),
        State.NONE: (counts.missing, "missing"),
        State.UNCLEAR: (counts.unclear, "not known"),
    }.get(state, (0, SHOWN[state].word))
    parts = [f"{number:,} {word}"] if number else []
    if state in {State.NATIVE, State.FOREIGN, State.UNREACHABLE}:
        parts = [word]
    if counts.all_excused:
        parts.append(f"{counts.all_excused:,} excused")
    return f"{SHOWN[state].mark} {', '.join(parts)}".rstrip()


def words(counts: Counts) -> str:
    """A cell in words: ``12 missing, 3 PTX, 80 native, 5 excused``."""
    parts = [
        (number, word)
        for number, word in (
            (counts.missing, "missing"),
            (counts.unclear, "not known"),
            (counts.ptx, "PTX"),
            (counts.native, "native"),
            (counts.foreign, "for others"),
            (counts.unreachable, "unreachable"),
            (counts.all_excused, "excused"),
        )
        if number
    ]
    if len(parts) == 1:
        return f"all {parts[0][1]}"
    return ", ".join(f"{number:,} {word}" for number, word in parts)
