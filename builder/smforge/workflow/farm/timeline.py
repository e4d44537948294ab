"""The timeline of a run, from its journal and the records of its cells: what ran when, and what
the run waited for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from smforge.bake.record import RECORD_NAME, RunRecord, TargetRecord, former_record
from smforge.errors import EXIT_PASS
from smforge.workflow.farm.journal import CellBegun, CellEnded, History, Resumed, last_run


@dataclass(frozen=True, slots=True)
class Bar:
    """One bake target of a cell. Seconds are counted from the beginning of the run."""

    name: str
    begin: float
    end: float
    steps: int
    """Instructions that were complete."""
    cached: int | None
    """How many of these came from the cache; None where the record does not say."""
    critical: bool
    """Whether the cell's end waited for it: it is on the longest chain."""


@dataclass(frozen=True, slots=True)
class CellBar:
    """One cell of a run."""

    name: str
    begin: float
    end: float
    result: str
    """As in the journal: ``passed``, ``up-to-date``, ``failed``; ``killed`` where it says none."""
    exit_code: int | None
    targets: tuple[Bar, ...]
    """Empty where nothing was built."""
    nodes: tuple[str, ...] = ()
    """BUILDER/NODE of what built it."""

    @property
    def seconds(self) -> float:
        return self.end - self.begin

    @property
    def critical_seconds(self) -> float:
        """The time of the targets that the end waited for; the rest is before and after them."""
        return sum(_alone(self.targets))


@dataclass(frozen=True, slots=True)
class Timeline:
    """What a run did."""

    began: datetime
    holder: str
    cells: tuple[CellBar, ...]
    not_begun: tuple[str, ...]
    resumed: tuple[float, ...]
    """When other processes went on with the run."""
    ended: bool

    @property
    def seconds(self) -> float:
        """From the beginning of the run to the end of its last cell."""
        return max((cell.end for cell in self.cells), default=0.0)

    @property
    def steps(self) -> int:
        """The complete steps of all targets."""
        return sum(bar.steps for cell in self.cells for bar in cell.targets)

    @property
    def cached(self) -> int:
        """How many of them came from the cache."""
        return sum(bar.cached or 0 for cell in self.cells for bar in cell.targets)

    @property
    def all_passed(self) -> bool:
        """Whether the run ended and every cell of it passed."""
        codes = {cell.name: cell.exit_code for cell in self.cells}
        return self.ended and not self.not_begun and set(codes.values()) <= {EXIT_PASS}


def timeline_of(out: Path) -> Timeline:
    """The timeline of the last run in `out`.

    Raises `UsageError` where there was none, and `DamagedInputError` for a journal that cannot be
    used. A record that cannot be read leaves its cell without targets.
    """
    history = last_run(out)
    cells = tuple(_cells(history, _records(out)))
    begun = {cell.name for cell in cells}
    return Timeline(
        began=history.begun.at,
        holder=history.holder,
        cells=cells,
        not_begun=tuple(name for name in history.begun.cells if name not in begun),
        resumed=tuple(
            _since(history, one.at) for one in history.events if isinstance(one, Resumed)
        ),
        ended=history.ended,
    )


def _records(out: Path) -> dict[str, RunRecord]:
    """The record of the last build of each cell, passed or not, by the name of the cell."""
    found = {}
    for path in sorted(out.glob(f"*/logs/*/{RECORD_NAME}")):
        record = former_record(path)
        if record is not None:
            found[f"{path.parents[2].name}-{path.parent.name}"] = record
    return found


def _cells(history: History, records: Mapping[str, RunRecord]) -> Iterator[CellBar]:
    """A bar for each time that the build of a cell began."""
    events = history.events
    for index, event in enumerate(events):
        if not isinstance(event, CellBegun):
            continue
        ends = (one for one in events[index + 1 :] if isinstance(one, CellBegun | CellEnded))
        following = next(ends, None)
        end = following if isinstance(following, CellEnded) else None
        until = end or next(iter(events[index + 1 :]), event)
        record = records.get(event.cell)
        own = record is not None and event.at <= record.started <= until.at
        yield CellBar(
            name=event.cell,
            begin=_since(history, event.at),
            # A clock that was set back in between must not make a time that is negative.
            end=max(_since(history, event.at), _since(history, until.at)),
            result="killed" if end is None else end.result,
            exit_code=None if end is None else end.exit_code,
            targets=tuple(_bars(history, record.targets)) if own and record is not None else (),
            nodes=record.nodes if own and record is not None else (),
        )


def _bars(history: History, targets: Sequence[TargetRecord]) -> Iterator[Bar]:
    timed = [(target, target.started) for target in targets]
    begins = {target.name: _since(history, at) for target, at in timed if at is not None}
    ends = {one.name: begins[one.name] + one.seconds for one in targets if one.name in begins}
    critical = _critical(targets, ends)
    for target in targets:
        if target.name in begins:
            yield Bar(
                name=target.name,
                begin=begins[target.name],
                end=ends[target.name],
                steps=target.completed_steps,
                cached=target.cached_steps,
                critical=target.name in critical,
            )


def _critical(targets: Sequence[TargetRecord], ends: Mapping[str, float]) -> frozenset[str]:
    """The chain that ended last: from the last target back, always to the need that ended last."""
    needs = {target.name: [one for one in target.needs if one in ends] for target in targets}
    chain: list[str] = []
    waiting = list(ends)
    while waiting:
        last = max(waiting, key=lambda name: ends[name])
        chain.append(last)
        waiting = [one for one in needs[last] if one not in chain]
    return frozenset(chain)


def _alone(targets: Sequence[Bar]) -> Iterator[float]:
    """For each critical target, the time after the critical one before it ended."""
    until = 0.0
    for bar in sorted((one for one in targets if one.critical), key=lambda one: one.end):
        yield max(0.0, bar.end - max(bar.begin, until))
        until = max(until, bar.end)


def _since(history: History, at: datetime) -> float:
    return max(0.0, (at - history.begun.at).total_seconds())
