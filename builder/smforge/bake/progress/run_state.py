"""What a run of several cells is doing: the state of each cell, and which of them fit a screen."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from smforge.bake.progress.rows import TargetRow, target_row
from smforge.bake.progress.state import BuildState

WAITING = "waiting"
_WORDS = {"up-to-date": "reused"}
_NEXT = 5
"""How many of the cells that come next are shown before those that ended."""
_ORDER = {"failed": 0, "working": 1, "waiting": 2, "ended": 3}


@dataclass(frozen=True, slots=True)
class CellRow:
    """One cell as a display shows it."""

    name: str
    state: str = WAITING
    """``waiting``, what is done with it now (``building``, ``auditing``), or how it ended."""
    kind: str = "waiting"
    """``waiting``, ``working``, ``ended`` or ``failed``."""
    since: float | None = None
    """When work on it began, while it goes on."""
    seconds: float = 0.0
    """How long it took, once it has ended."""
    done: int = 0
    total: int = 0
    cached: int = 0
    """Instructions that ended, all that are known, and those that came from the cache."""
    targets: tuple[TargetRow, ...] = ()
    """Of a cell that is being built."""
    note: str = ""
    """Why it failed."""
    nodes: tuple[str, ...] = ()
    """Of a builder, those that built it."""

    def elapsed(self, now: float) -> float:
        """Seconds of work so far."""
        return self.seconds if self.since is None else max(0.0, now - self.since)

    @property
    def steps(self) -> str:
        """``3/7`` while it is worked on. BuildKit never looks at steps that others make useless."""
        if not self.total:
            return ""
        return str(self.done) if self.kind == "ended" else f"{self.done}/{self.total}"

    @property
    def doing(self) -> str:
        """What is going on in it, or why it failed."""
        working = [one for one in self.targets if one.status in {"failed", "running"}]
        return working[0].text if working else self.note


class RunState:
    """The cells of a run; another thread may take pictures of it."""

    def __init__(self, names: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._rows = {name: CellRow(name) for name in names}
        self.began = clock()

    def now(self) -> float:
        """The present moment of the run's clock."""
        return self._clock()

    def begin(self, name: str) -> CellRow:
        """Work on a cell begins."""
        return self._set(name, state="checking", kind="working", since=self._clock())

    def stage(self, name: str, text: str) -> CellRow:
        """Say what is done with a cell now."""
        return self._set(name, state=text, kind="working", targets=())

    def baking(self, name: str, state: BuildState) -> CellRow:
        """Take note of the progress of a cell's targets."""
        targets = tuple(target_row(one) for one in state.targets.values())
        return self._set(
            name,
            state="building",
            targets=targets,
            done=sum(one.done for one in targets),
            total=sum(one.total for one in targets),
            cached=sum(one.cached_steps for one in state.targets.values()),
        )

    def end(
        self, name: str, result: str, *, failed: bool, note: str = "", nodes: Sequence[str] = ()
    ) -> CellRow:
        """A cell has ended."""
        seconds = self.row(name).elapsed(self._clock())
        return self._set(
            name,
            state=_WORDS.get(result, result),
            kind="failed" if failed else "ended",
            since=None,
            seconds=seconds,
            targets=(),
            note=note,
            nodes=tuple(nodes),
        )

    def row(self, name: str) -> CellRow:
        """The present state of a cell."""
        with self._lock:
            return self._rows[name]

    def rows(self) -> tuple[CellRow, ...]:
        """All cells, in the order of the run."""
        with self._lock:
            return tuple(self._rows.values())

    def _set(self, name: str, **changes: object) -> CellRow:
        with self._lock:
            row = replace(self._rows[name], **changes)  # type: ignore[arg-type]  # fields by name
            self._rows[name] = row
        return row


def chosen(rows: Sequence[CellRow], room: int) -> tuple[CellRow, ...]:
    """The cells for `room` lines: all in their order, else first what needs to be seen.

    What is worked on is always there, then what failed last, the cells that come next and those
    that ended last. They are shown failed ones first.
    """
    if len(rows) <= room:
        return tuple(rows)
    groups = {
        kind: [one for one in rows if one.kind == kind]
        for kind in ("working", "failed", "waiting", "ended")
    }
    wanted = [
        *groups["working"],
        *groups["failed"][::-1],
        *groups["waiting"][:_NEXT],
        *groups["ended"][::-1],
        *groups["waiting"][_NEXT:],
    ]
    names = {one.name for one in wanted[: max(1, room)]}
    kept = [one for one in rows if one.name in names]
    return tuple(sorted(kept, key=lambda one: _ORDER[one.kind]))


def counts(rows: Sequence[CellRow]) -> str:
    """``1 failed, 1 building, 12 passed, 46 waiting``: failures first, what waits last."""
    order = {"failed": 0, "working": 1, "ended": 2, "waiting": 3}
    found = Counter((order[one.kind], one.state) for one in rows)
    return ", ".join(f"{count} {state}" for (_, state), count in sorted(found.items()))
