"""One log file per bake target: every step, every line of output, with the time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Self

from smforge.bake.progress.state import GENERAL, Change, OutputLine, Step, StepEnded, StepStarted


class TargetLogs:
    """Writes the log files of one bake call, each line at once, so that they can be followed.

    A file is opened when its target has its first line. The files of the call before are
    removed, so that all files belong to one run.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._files: dict[str, IO[str]] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._directory.mkdir(parents=True, exist_ok=True)
        for old in self._directory.glob("*.log"):
            old.unlink()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def path(self, target: str) -> Path:
        """Where the log of a target lies."""
        return self._directory / f"{target}.log"

    def write(self, changes: Iterable[Change]) -> None:
        """Add what happened. Raises `OSError` when the disk is full."""
        for change in changes:
            match change:
                case StepStarted(target, step):
                    self._line(target, step, step.started, f"> {step.name.action}")
                case StepEnded(target, step):
                    self._line(target, step, step.completed, _ending(step))
                case OutputLine(target, step, text, timestamp):
                    self._line(target, step, timestamp, text)

    def _line(self, target: str, step: Step | None, at: datetime | None, text: str) -> None:
        moment = (at or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        label = f"[{step.name.label or step.name.action}] " if step else ""
        stream = self._open(target)
        stream.write(f"{moment}Z {label}{text}\n")

    def _open(self, target: str) -> IO[str]:
        stream = self._files.get(target)
        if stream is None:
            path = self.path(target or GENERAL)
            # Line buffered: a log is read while the build runs.
            opened = path.open("w", encoding="utf-8", errors="replace", buffering=1)
            stream = self._files[target] = self._stack.enter_context(opened)
        return stream


def _ending(step: Step) -> str:
    if step.cancelled:
        return "< cancelled"
    if step.error:
        return f"< failed: {step.error}"
    if step.cached:
        return "< cached"
    return f"< done in {step.seconds:.1f} s"
