"""The progress that ``smforge audit`` shows on standard error while it reads."""

from __future__ import annotations

import time
from typing import TextIO

from smforge.cli.output import TABLE
from smforge.cli.plain_text import encodable
from smforge.report.text.printable import printable

_SILENT_SECONDS = 2.0
_TERMINAL_SECONDS = 0.1
_PLAIN_SECONDS = 10.0
_COLUMNS = 80


class Progress:
    """Names the member being read, once reading takes longer than two seconds.

    A terminal gets one line that changes; anything else a new line now and then.
    """

    def __init__(self, stream: TextIO, *, quiet: bool) -> None:
        self._stream = stream
        self._quiet = quiet
        self._on_terminal = stream.isatty()
        self._next = time.monotonic() + _SILENT_SECONDS
        self._shown = False

    def __call__(self, path: str, position: int) -> None:
        now = time.monotonic()
        if self._quiet or now < self._next:
            return
        text = printable(f"reading file {position:,}: {path}")
        if len(text) > _COLUMNS:
            text = f"{text[: _COLUMNS - 31]}…{text[-30:]}"
        text = encodable(text, TABLE, self._stream.encoding)
        if self._on_terminal:
            self._stream.write(f"\r\x1b[K{text}")
            self._next = now + _TERMINAL_SECONDS
        else:
            self._stream.write(f"smforge: {text}\n")
            self._next = now + _PLAIN_SECONDS
        self._stream.flush()
        self._shown = True

    def clear(self) -> None:
        """Clear the terminal's line."""
        if self._shown and self._on_terminal:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
        self._shown = False
