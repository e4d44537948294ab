"""The messages of a build on standard error while it runs."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TextIO

from smforge.bake.progress.display import Progress, choose_progress


@dataclass(frozen=True, slots=True)
class Messages:
    """Writes messages and progress to a stream."""

    quiet: bool = False
    """Whether only errors are written."""
    verbose: bool = False
    """Whether every command is written before it runs."""
    stream: TextIO = field(default_factory=lambda: sys.stderr)

    def announce(self, text: str) -> None:
        """Report a step outside of the engine that takes long."""
        if not self.quiet:
            self.stream.write(f"smforge: {text}\n")

    def explain(self, text: str) -> None:
        """Show a command that is run."""
        if self.verbose:
            self.stream.write(f"+ {text}\n")

    def progress(self, title: str) -> Progress:
        """A display of one bake call."""
        return choose_progress(self.stream, title, quiet=self.quiet)
