"""Shows on standard error what a command is doing, once it takes longer than two seconds."""

from __future__ import annotations

import os
import threading
import time
from typing import Final, Self, TextIO

from smforge.amounts import size_text
from smforge.cli.output import TABLE
from smforge.cli.plain_text import encodable
from smforge.progress import Extent, Progress
from smforge.report.text.printable import printable

_SILENT_SECONDS: Final = 2.0
"""A command that is faster says nothing; an estimate needs as long."""
_TERMINAL_SECONDS: Final = 0.2
_PLAIN_SECONDS: Final = 10.0
_COLUMNS: Final = 100


class ProgressLine(Progress):
    """One line that changes on a terminal; anywhere else a new line every ten seconds.

    A thread writes it, so that it moves while one library is read for minutes.
    """

    def __init__(self, stream: TextIO, *, quiet: bool) -> None:
        self._stream = stream
        self._quiet = quiet
        self._on_terminal = stream.isatty()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._subject = ""
        self._doing = ""
        self._item = ""
        self._extent: Extent | None = None
        self._unit = "B"
        self._begun = time.monotonic()
        self._shown = False

    def subject(self, number: int, count: int, name: str) -> None:
        """What follows is about the `number`-th of `count` subjects."""
        with self._lock:
            self._subject = f"{number} of {count}: {name}: " if count > 1 else ""

    def task(self, doing: str, extent: Extent | None = None, *, unit: str = "B") -> None:
        if self._quiet:
            return
        with self._lock:
            self._doing, self._item, self._extent, self._unit = doing, "", extent, unit
            self._begun = time.monotonic()
        if self._thread is None:
            self._thread = threading.Thread(target=self._tick, name="smforge-progress", daemon=True)
            self._thread.start()

    def item(self, name: str) -> None:
        self._item = name

    def note(self, text: str) -> None:
        """Say it on a line of its own, also where no progress is wanted."""
        with self._lock:
            if self._shown and self._on_terminal:
                self._stream.write("\r\x1b[K")
            self._stream.write(f"smforge: {printable(text)}\n")
            self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.clear()

    def clear(self) -> None:
        """Remove the line, and say nothing until the next task."""
        with self._lock:
            self._doing = ""
            if self._shown and self._on_terminal:
                self._stream.write("\r\x1b[K")
                self._stream.flush()
            self._shown = False

    def text(self, now: float) -> str:
        """The line at a moment; empty while nothing is being done."""
        if not self._doing:
            return ""
        seconds = now - self._begun
        parts = [f"{self._doing} {self._item}".rstrip()]
        done, whole = self._extent() if self._extent is not None else (0, None)
        if whole:
            done = min(done, whole)
            parts.append(f"{self._amounts(done, whole)} ({100 * done // whole} %)")
            # What the first per cent took says little about the rest.
            if 100 * done >= whole and seconds >= _SILENT_SECONDS:
                parts.append(f"about {_time(seconds / done * (whole - done))} left")
        elif done:
            parts.append(self._amount(done))
        if len(parts) < 3 and seconds >= 1:
            parts.append(f"for {_time(seconds)}")
        return f"{self._subject}{', '.join(parts)}"

    def _amounts(self, done: int, whole: int) -> str:
        if self._unit != "B":
            return f"{done:,} of {whole:,} {self._unit}"
        return f"{size_text(done)} of {size_text(whole)}"

    def _amount(self, done: int) -> str:
        return size_text(done) if self._unit == "B" else f"{done:,} {self._unit}"

    def _tick(self) -> None:
        pause = _SILENT_SECONDS
        while True:
            time.sleep(pause)
            with self._lock:
                self._write(printable(self.text(time.monotonic())))
            pause = _TERMINAL_SECONDS if self._on_terminal else _PLAIN_SECONDS

    def _width(self) -> int:
        """The columns of a line: a longer one would not be cleared on a terminal."""
        if not self._on_terminal:
            return _COLUMNS
        try:
            return max(40, min(_COLUMNS, os.get_terminal_size(self._stream.fileno()).columns - 1))
        except (OSError, ValueError):
            return _COLUMNS

    def _write(self, text: str) -> None:
        if not text:
            return
        width = self._width()
        if len(text) > width:
            text = f"{text[: width // 3]}…{text[-(width - width // 3 - 1) :]}"
        text = encodable(text, TABLE, self._stream.encoding)
        try:
            if self._on_terminal:
                self._stream.write(f"\r\x1b[K{text}")
            else:
                self._stream.write(f"smforge: {text}\n")
            self._stream.flush()
        except (OSError, ValueError):
            # Nobody reads it any more; the command goes on.
            return
        self._shown = True


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
