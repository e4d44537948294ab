"""Shows a run of several cells: one table in a terminal, one line per change elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import IO, TYPE_CHECKING, Final, Protocol, Self

from smforge.amounts import clock_text
from smforge.bake.progress.display import PlainProgress, Progress, SilentProgress
from smforge.bake.progress.rows import clean
from smforge.bake.progress.run_state import CellRow, RunState, chosen, counts
from smforge.bake.progress.state import BuildState, Change, StepEnded, StepStarted

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

_SNAPSHOT_SECONDS: Final = 0.1
_REDRAWS_PER_SECOND: Final = 4
_OTHER_LINES: Final = 4
"""Of the table: the counts, the headings, what is left out, and the line of the cursor."""
_STEPS_FROM, _NOW_FROM, _CACHED_FROM = 56, 76, 100
"""The columns that a terminal needs for a column of the table to be shown."""
_STYLES: Final = {"failed": "red", "working": "cyan", "ended": "green", "waiting": "dim"}


class RunDisplay(AbstractContextManager["RunDisplay"], Protocol):
    """A display of a run of several cells, each by its title."""

    def begin(self, name: str) -> None:
        """Work on a cell begins."""

    def stage(self, name: str, text: str) -> None:
        """Say what is done with a cell now: ``preflight``, ``auditing``."""

    def progress(self, name: str) -> Progress:
        """The display of a cell's bake call."""

    def end(
        self, name: str, result: str, *, failed: bool, note: str = "", nodes: Sequence[str] = ()
    ) -> None:
        """A cell has ended: why where it failed, and the nodes of a builder that built it."""


class SilentRun(AbstractContextManager["SilentRun"]):
    """Shows nothing."""

    def __exit__(self, *_: object) -> None:
        return None

    def begin(self, name: str) -> None:
        """Show nothing."""

    def stage(self, name: str, text: str) -> None:
        """Show nothing."""

    def progress(self, name: str) -> Progress:  # noqa: ARG002
        """A display that shows nothing."""
        return SilentProgress()

    def end(
        self, name: str, result: str, *, failed: bool, note: str = "", nodes: Sequence[str] = ()
    ) -> None:
        """Show nothing."""


class PlainRun(AbstractContextManager["PlainRun"]):
    """One line per change of a cell, and the lines of `PlainProgress` while it is built."""

    def __init__(self, stream: IO[str], names: Sequence[str]) -> None:
        self._stream = stream
        self._state = RunState(names)
        self._numbers = {name: number for number, name in enumerate(names, 1)}

    def __exit__(self, *_: object) -> None:
        self._stream.flush()

    def begin(self, name: str) -> None:
        """Say that a cell is worked on."""
        self._say(self._state.begin(name), "")

    def stage(self, name: str, text: str) -> None:
        """Say what is done with it."""
        self._say(self._state.stage(name, text), "")

    def progress(self, name: str) -> Progress:
        """Plain lines for each step that ends."""
        self.stage(name, "building")
        return _Noting(self._state, name, PlainProgress(self._stream))

    def end(
        self, name: str, result: str, *, failed: bool, note: str = "", nodes: Sequence[str] = ()
    ) -> None:
        """Say how it ended, and how the run stands."""
        row = self._state.end(name, result, failed=failed, note=note, nodes=nodes)
        hits = f", {row.cached} of {row.done} steps from the cache" if row.done else ""
        of_all = counts(self._state.rows())
        self._say(row, f" in {clock_text(row.seconds)}{hits} ({of_all})")

    def _say(self, row: CellRow, more: str) -> None:
        number = f"cell {self._numbers[row.name]} of {len(self._numbers)}"
        self._stream.write(clean(f"smforge: {number}: {row.name}: {row.state}{more}") + "\n")
        self._stream.flush()


class LiveRun(AbstractContextManager["LiveRun"]):
    """A table on a terminal that fits its height and width, and is gone at the end.

    What is written to standard error meanwhile stands above it.
    """

    def __init__(self, console: Console, names: Sequence[str]) -> None:
        from rich.live import Live  # noqa: PLC0415  # defers rich

        self._console = console
        self._state = RunState(names)
        self._live = Live(
            console=console,
            get_renderable=self.picture,
            refresh_per_second=_REDRAWS_PER_SECOND,
            transient=True,
            redirect_stdout=False,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def begin(self, name: str) -> None:
        """Show that a cell is worked on."""
        self._state.begin(name)

    def stage(self, name: str, text: str) -> None:
        """Show what is done with it."""
        self._state.stage(name, text)

    def progress(self, name: str) -> Progress:
        """Show its targets and steps in the table."""
        return _Noting(self._state, name, SilentProgress())

    def end(
        self, name: str, result: str, *, failed: bool, note: str = "", nodes: Sequence[str] = ()
    ) -> None:
        """Show how it ended."""
        self._state.end(name, result, failed=failed, note=note, nodes=nodes)

    def picture(self) -> RenderableType:
        """The table of this moment, for the size that the terminal has now."""
        from rich.console import Group  # noqa: PLC0415  # defers rich
        from rich.text import Text  # noqa: PLC0415  # defers rich

        width, height = self._console.size
        now, rows = self._state.now(), self._state.rows()
        room = max(1, height - _OTHER_LINES)
        details = min(room // 4, sum(len(one.targets) for one in rows))
        shown = rows if len(rows) <= room else chosen(rows, room - details)
        took = clock_text(now - self._state.began)
        head = f"{len(rows)} cells, {took}: {counts(rows)}"
        parts: list[RenderableType] = [Text(head, style="bold", no_wrap=True, overflow="ellipsis")]
        parts.append(self._table(shown, room - len(shown), width, now))
        if len(shown) < len(rows):
            names = {one.name for one in shown}
            rest = [one for one in rows if one.name not in names]
            text = f"and {len(rest)} more: {counts(rest)}"
            parts.append(Text(text, style="dim", no_wrap=True, overflow="ellipsis"))
        return Group(*parts)

    def _table(self, rows: Sequence[CellRow], spare: int, width: int, now: float) -> Table:
        from rich.table import Table  # noqa: PLC0415  # defers rich
        from rich.text import Text  # noqa: PLC0415  # defers rich

        table = Table(box=None, padding=(0, 2, 0, 0), expand=width >= _NOW_FROM, pad_edge=False)
        most = max(12, width - 26 if width < _NOW_FROM else width // 3)
        table.add_column("cell", no_wrap=True, overflow="ellipsis", max_width=most)
        table.add_column("state", no_wrap=True)
        table.add_column("time", no_wrap=True, justify="right")
        if width >= _STEPS_FROM:
            table.add_column("steps", no_wrap=True, justify="right")
        if width >= _CACHED_FROM:
            table.add_column("cached", no_wrap=True, justify="right")
        if width >= _NOW_FROM:
            table.add_column("now", no_wrap=True, overflow="ellipsis", ratio=1)
        for row in rows:
            table.add_row(*self._cells(row, width, now))
            if width < _NOW_FROM:
                continue
            for target in row.targets:
                if spare and target.status in {"running", "failed"}:
                    spare -= 1
                    empty = [""] * (4 if width >= _CACHED_FROM else 3)
                    said = target.said or target.action
                    table.add_row(
                        Text(f"  {target.name}", style="dim"),
                        *empty,
                        Text(clean(f"{target.label} {said}".strip()), style="dim"),
                    )
        return table

    def _where(self, row: CellRow) -> str:
        """The nodes that built a cell, once a run has used several."""
        used = {node for one in self._state.rows() for node in one.nodes}
        return f"on {', '.join(row.nodes)}" if len(used) > 1 and row.nodes else ""

    def _cells(self, row: CellRow, width: int, now: float) -> list[RenderableType]:
        from rich.text import Text  # noqa: PLC0415  # defers rich

        style = _STYLES[row.kind]
        found: list[RenderableType] = [
            Text(clean(row.name)),
            Text(row.state, style=style),
            clock_text(row.elapsed(now)) if row.kind != "waiting" else "",
        ]
        if width >= _STEPS_FROM:
            found.append(row.steps)
        if width >= _CACHED_FROM:
            found.append(str(row.cached) if row.total else "")
        if width >= _NOW_FROM:
            found.append(Text(clean(row.doing or self._where(row))))
        return found


class _Noting(AbstractContextManager["_Noting"]):
    """Keeps a run's state up to date beside another display of one bake call."""

    def __init__(self, run: RunState, name: str, beside: Progress) -> None:
        self._run = run
        self._name = name
        self._beside = beside
        self._taken = 0.0
        self._last: BuildState | None = None

    def __enter__(self) -> Self:
        self._beside.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        if self._last is not None:
            self._run.baking(self._name, self._last)
        self._beside.__exit__(None, None, None)

    def changed(self, state: BuildState, changes: tuple[Change, ...]) -> None:
        """Take a new picture of the state, unless the last one is fresh and nothing ended."""
        self._last = state
        self._beside.changed(state, changes)
        now = time.monotonic()
        ended = any(isinstance(one, StepStarted | StepEnded) for one in changes)
        if ended or now - self._taken >= _SNAPSHOT_SECONDS:
            self._taken = now
            self._run.baking(self._name, state)


def choose_run(stream: IO[str], names: Sequence[str], *, quiet: bool) -> RunDisplay:
    """The display that fits: none, a live table on a terminal, plain lines elsewhere."""
    if quiet:
        return SilentRun()
    if not stream.isatty():
        return PlainRun(stream, names)
    from rich.console import Console  # noqa: PLC0415  # defers rich

    console = Console(file=stream)
    return PlainRun(stream, names) if console.is_dumb_terminal else LiveRun(console, names)
