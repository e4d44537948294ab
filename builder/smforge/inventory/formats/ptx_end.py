"""Whether a PTX text is whole: a file that was cut off begins like any other.

Source: PTX ISA, "Source Format", "Statements" and "Directives": a statement ends with a semicolon,
a body and a section with a brace. A few directives take a line and have no end of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from smforge.errors import DamagedInputError
from smforge.inventory.formats.ptx import check_text

_LEFT_OUT = re.compile(rb'//[^\n]*|"[^"\n]*"')
_BEGUN = re.compile(rb'//|/\*|"')
_ENDINGS = {b"//": b"\n", b"/*": b"*/", b'"': b'"'}
_BLANK = rb'(?:\s|"")'
_WITHOUT_END = re.compile(
    (
        rb"~*(?:(?:\.version~+\d+\.\d+|\.target~+\w+(?:~*,~*\w+)*|\.address_size~+\d+"
        rb'|\.file\s+\d+\s+""(?:~*,~*\w+)*|\.loc[ \t]+[^\n]*(?=\n)'
        rb"|@@(?:DWARF|dwarf)[^\n]*(?=\n))~+)*\Z"
    ).replace(b"~", _BLANK)
)
"""What may follow the last semicolon or brace. Strings and comments are empty strings here."""


def check_whole(pieces: Iterable[bytes]) -> None:
    """Raise `DamagedInputError` where a text that comes in pieces is not whole.

    It is not where it ends within a body, a statement, a comment or a string, where braces do not
    match, and where text follows a zero byte, with which it ends for a driver. A text that is cut
    between two statements cannot be told from a whole one.
    """
    reader = _Reader()
    held = b""
    for piece in pieces:
        lines, newline, rest = piece.rpartition(b"\n")
        if newline:
            reader.read(held + lines + newline)
            held = rest
        else:
            held += piece
            check_text(len(held))
    reader.read(held + b"\n")
    reader.end()


class _Reader:
    """Counts what is open, over whole lines."""

    def __init__(self) -> None:
        self._braces = 0
        self._brackets = 0
        self._in_comment = False
        self._ended = False
        self._rest = b""

    def read(self, lines: bytes) -> None:
        text, zero, after = lines.partition(b"\0")
        if (after if not self._ended else lines).strip(b"\0\r\n\t "):
            raise DamagedInputError(
                "A PTX text has zero bytes in it: what follows them is lost for a driver."
            )
        if self._ended:
            return
        self._ended = bool(zero)
        plain = self._without_comments(text)
        self._braces += plain.count(b"{") - plain.count(b"}")
        self._brackets += plain.count(b"(") - plain.count(b")")
        if self._braces < 0:
            raise DamagedInputError(
                "A PTX text closes a body that it did not open: a part is gone."
            )
        end = max(plain.rfind(b";"), plain.rfind(b"}")) + 1
        self._rest = plain[end:] if end else self._rest + plain
        check_text(len(self._rest))

    def end(self) -> None:
        where = None
        if self._in_comment:
            where = "within a comment"
        elif self._braces:
            where = "within the body of a function, which is not closed"
        elif self._brackets or not _WITHOUT_END.match(self._rest):
            where = "within a statement"
        if where is not None:
            raise DamagedInputError(f"A PTX text ends {where}: it was cut off.")

    def _without_comments(self, text: bytes) -> bytes:
        """The text with an empty string for each comment and each string."""
        if not self._in_comment and b"/*" not in text:
            plain = _LEFT_OUT.sub(b'""', text)
            if plain.count(b'"') % 2:
                raise _open_string()
            return plain
        parts = []
        start = 0
        if self._in_comment:
            start = _after(text, b"*/", 0)
            self._in_comment = start < 0
        while start >= 0 and (begun := _BEGUN.search(text, start)) is not None:
            parts.append(text[start : begun.start()])
            opening = begun[0]
            parts.append(b'""')
            start = _after(text, _ENDINGS[opening], begun.end())
            if opening == b"//" and start >= 0:
                start -= 1  # The newline ends a line, too.
            elif opening == b"/*":
                self._in_comment = start < 0
            elif opening == b'"' and (start < 0 or b"\n" in text[begun.end() : start]):
                raise _open_string()
        if start >= 0:
            parts.append(text[start:])
        return b"".join(parts)


def _open_string() -> DamagedInputError:
    return DamagedInputError("A PTX text has a string that is not closed.")


def _after(text: bytes, ending: bytes, start: int) -> int:
    found = text.find(ending, start)
    return found + len(ending) if found >= 0 else -1
