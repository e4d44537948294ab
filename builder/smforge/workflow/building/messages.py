"""The messages of a build on standard error while it runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TextIO

from smforge.bake.progress.display import Progress, choose_progress
from smforge.bake.progress.run_display import RunDisplay, choose_run
from smforge.errors import EXIT_PASS
from smforge.workflow.building.results import Built


@dataclass(frozen=True, slots=True)
class Messages:
    """Writes messages and progress to a stream."""

    quiet: bool = False
    """Whether only errors are written."""
    verbose: bool = False
    """Whether every command is written before it runs."""
    stream: TextIO = field(default_factory=lambda: sys.stderr)
    run: RunDisplay | None = None
    """The display of a run of several cells, while there is one."""

    def announce(self, text: str) -> None:
        """Report a step outside of the engine that takes long."""
        if not self.quiet:
            self.stream.write(f"smforge: {text}\n")

    def explain(self, text: str) -> None:
        """Show a command that is run."""
        if self.verbose:
            self.stream.write(f"+ {text}\n")

    def progress(self, title: str) -> Progress:
        """A display of one bake call, of the cell with this title."""
        if self.run is not None:
            return self.run.progress(title)
        return choose_progress(self.stream, title, quiet=self.quiet)

    def begun(self, title: str) -> None:
        """Show that a cell is worked on, where a run of several is shown."""
        if self.run is not None:
            self.run.begin(title)

    def stage(self, title: str, text: str) -> None:
        """Show what is done with a cell, where a run of several is shown."""
        if self.run is not None:
            self.run.stage(title, text)

    def ended(self, built: Built) -> None:
        """Show how a cell ended, and which nodes of a builder built it."""
        if self.run is None:
            return
        note = "" if built.error is None else str(built.error)
        nodes = () if built.record is None else built.record.nodes
        failed = built.exit_code != EXIT_PASS
        self.run.end(built.cell.title, built.result, failed=failed, note=note, nodes=nodes)

    @contextmanager
    def of_run(self, titles: Sequence[str]) -> Iterator[Messages]:
        """These messages while cells are built; a single cell has its own display."""
        if len(titles) < 2:
            yield self
            return
        on_stderr = self.stream is sys.stderr
        with choose_run(self.stream, titles, quiet=self.quiet) as display:
            # A live table takes the place of standard error, and shows lines above itself.
            stream = sys.stderr if on_stderr else self.stream
            yield replace(self, stream=stream, run=display)
