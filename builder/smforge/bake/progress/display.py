"""Shows a build while it runs: a table that redraws itself in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Protocol, Self

from smforge.amounts import clock_text
from smforge.bake.progress.rows import TargetRow, clean, short_action, target_row
from smforge.bake.progress.state import (
    BuildState,
    Change,
    OutputLine,
    Step,
    StepEnded,
    StepStarted,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

LOG_SECONDS = 5.0
"""Plain progress shows the output of a step at most this often; all of it is in the log file."""

_PLAIN_WIDTH = 160
_SNAPSHOT_SECONDS = 0.1
_REDRAWS_PER_SECOND = 4


class Progress(AbstractContextManager["Progress"], Protocol):
    """A display of one bake call."""

    def changed(self, state: BuildState, changes: tuple[Change, ...]) -> None:
        """Take note of what happened."""


class SilentProgress(AbstractContextManager["SilentProgress"]):
    """Shows nothing."""

    def __exit__(self, *_: object) -> None:
        return None

    def changed(self, state: BuildState, changes: tuple[Change, ...]) -> None:
        """Show nothing."""


class PlainProgress(AbstractContextManager["PlainProgress"]):
    """One line per step that ends, and now and then a line of what a long step prints.

    A step that several targets share is shown once, with the first of them.
    """

    def __init__(self, stream: IO[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._owner: dict[str, str] = {}
        self._spoke: dict[str, float] = {}
        self._ended: set[str] = set()

    def __exit__(self, *_: object) -> None:
        self._stream.flush()

    def changed(self, state: BuildState, changes: tuple[Change, ...]) -> None:  # noqa: ARG002
        """Print what is worth a line."""
        for change in changes:
            step = change.step
            if step is None or self._owner.setdefault(step.digest, change.target) != change.target:
                continue
            match change:
                case StepStarted():
                    self._spoke[step.digest] = self._clock()
                case StepEnded() if _is_shown(step) and step.digest not in self._ended:
                    self._ended.add(step.digest)
                    action = short_action(step.name.action)
                    self._print(change.target, step, f"{_ending(step)}: {action}")
                case OutputLine(text=text) if text.strip():
                    self._say_sometimes(change.target, step, text)

    def _say_sometimes(self, target: str, step: Step, text: str) -> None:
        now = self._clock()
        if now - self._spoke.get(step.digest, 0.0) >= LOG_SECONDS:
            self._spoke[step.digest] = now
            self._print(target, step, f"| {text}")

    def _print(self, target: str, step: Step, text: str) -> None:
        label = step.name.label
        line = clean(f"[{target}{': ' if label else ''}{label}] {text}")
        cut = line if len(line) <= _PLAIN_WIDTH else line[: _PLAIN_WIDTH - 1] + "…"
        self._stream.write(cut + "\n")
        self._stream.flush()


class LiveProgress(AbstractContextManager["LiveProgress"]):
    """A table on a terminal: per target how far, how long, which step, its last line of output."""

    def __init__(self, console: Console, title: str) -> None:
        from rich.live import Live  # noqa: PLC0415  # defers rich

        self._title = title
        self._rows: tuple[TargetRow, ...] = ()
        self._taken = 0.0
        self._began = datetime.now(UTC)
        # The thread of Live draws from _rows alone, which is replaced whole.
        self._live = Live(
            console=console,
            get_renderable=self._table,
            refresh_per_second=_REDRAWS_PER_SECOND,
            transient=True,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def changed(self, state: BuildState, changes: tuple[Change, ...]) -> None:
        """Take a new picture of the state, unless the last one is fresh and nothing ended."""
        now = time.monotonic()
        if now - self._taken < _SNAPSHOT_SECONDS and not any(
            isinstance(change, StepStarted | StepEnded) for change in changes
        ):
            return
        self._taken = now
        self._rows = tuple(target_row(target) for target in state.targets.values())

    def _table(self) -> Table:
        from rich.table import Table  # noqa: PLC0415  # defers rich
        from rich.text import Text  # noqa: PLC0415  # defers rich

        now = datetime.now(UTC)
        table = Table(box=None, padding=(0, 2, 0, 0), expand=True, title_justify="left")
        past = max(0.0, (now - self._began).total_seconds())
        table.title = Text(f"{self._title}  {clock_text(past)}")
        for heading, justify in (("target", "left"), ("steps", "right"), ("time", "right")):
            table.add_column(heading, justify=justify, no_wrap=True)  # type: ignore[arg-type]  # rich's literal
        table.add_column("now", no_wrap=True, overflow="ellipsis", ratio=1)
        for row in self._rows:
            seconds = (now - row.since).total_seconds() if row.since else row.seconds
            table.add_row(
                row.name,
                f"{row.done}/{row.total}" if row.total else "",
                clock_text(max(0.0, seconds)) if row.status != "waiting" else "",
                Text(clean(f"{row.status} {row.label} {row.action}".strip())),
            )
            if row.said:
                table.add_row("", "", "", Text(clean(row.said), style="dim"))
        return table


def choose_progress(stream: IO[str], title: str, *, quiet: bool) -> Progress:
    """The display that fits: none, a live table on a terminal, plain lines elsewhere."""
    if quiet:
        return SilentProgress()
    if not stream.isatty():
        return PlainProgress(stream)
    from rich.console import Console  # noqa: PLC0415  # defers rich

    console = Console(file=stream)
    return PlainProgress(stream) if console.is_dumb_terminal else LiveProgress(console, title)


def _is_shown(step: Step) -> bool:
    """Instructions and exports are worth a line; the reading of definitions is not."""
    return (
        step.name.number is not None
        or step.name.action.startswith("exporting")
        or step.error is not None
    )


def _ending(step: Step) -> str:
    if step.error:
        return "cancelled" if step.cancelled else "failed"
    return "cached" if step.cached else f"{step.seconds:.1f} s"
