"""Lays out text in columns for a terminal.

As little as an audit's table needs: an audit should not wait for rich, which takes longer to load
than a library takes to read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

WIDTH = 100
"""Columns of a text that goes to a file or a pipe."""
Styled = Sequence[tuple[str, str]]
"""Text in parts, each with its style: words such as ``bold red``; empty for none."""

_CODES = {
    "bold": "1",
    "dim": "2",
    "italic": "3",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "magenta": "35",
    "cyan": "36",
}
_TIE = "\N{NO-BREAK SPACE}"
_WORD = re.compile(rf"[^\S{_TIE}]*[\S{_TIE}]+[^\S{_TIE}]*")


@dataclass(frozen=True, slots=True)
class Column:
    """How the cells of one column are laid out."""

    justify: Literal["left", "center", "right"] = "left"
    least: int = 0
    most: int | None = None
    """Columns that it may take; None for what its cells need."""
    cut: bool = False
    """Cells are cut where they do not fit, and wrapped where not."""
    stretch: bool = False
    """It takes all the room that the others leave."""


def paragraph(text: Styled, width: int, *, indent: int = 0) -> Iterator[Styled]:
    """Wrap one text to lines of `width`."""
    for line in _wrapped(text, width - indent):
        yield [(" " * indent, ""), *line]


def cut(text: Styled, width: int, *, indent: int = 0) -> Styled:
    """Write one text in one line, cut where it is too long."""
    return [(" " * indent, ""), *_cut(text, width - indent)]


def grid(
    columns: Sequence[Column],
    rows: Sequence[Sequence[Styled]],
    width: int,
    *,
    gap: int = 2,
    indent: int = 0,
) -> Iterator[Styled]:
    """Lay out rows of cells, with `gap` spaces between columns, in lines of `width`."""
    widths = _widths(columns, rows, width - indent - gap * (len(columns) - 1))
    for row in rows:
        cells = [
            [_cut(cell, room)] if column.cut else list(_wrapped(cell, room))
            for column, cell, room in zip(columns, row, widths, strict=True)
        ]
        for position in range(max(map(len, cells))):
            line: list[tuple[str, str]] = [(" " * indent, "")]
            for column, cell, room in zip(columns, cells, widths, strict=True):
                part = cell[position] if position < len(cell) else ()
                line += [*_justified(part, room, column.justify), (" " * gap, "")]
            yield line


def tied(text: str) -> str:
    """Text that is not broken at its spaces, as long as it fits a line: ``2,587 missing``."""
    return text.replace(" ", _TIE)


def rendered(lines: Sequence[Styled], *, color: bool) -> str:
    """The lines as text, without spaces at their ends; escape codes are in it only with `color`."""
    return "\n".join(_line(line, color=color) for line in lines).replace(_TIE, " ")


def cells(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width  # noqa: PLC0415

    return sum(
        0 if combining(one) else 2 if east_asian_width(one) in {"W", "F"} else 1 for one in text
    )


def shortened(names: Sequence[str], most: int) -> list[str]:
    """Cut paths in the middle to at most `most` characters.

    The end of a path names the library, its start the package. Paths that would look the same
    keep the folders in which they differ.
    """
    cut_names = [_middle(name, most) for name in names]
    alike: dict[str, list[int]] = {}
    for position, text in enumerate(cut_names):
        alike.setdefault(text, []).append(position)
    for positions in alike.values():
        if len({names[position] for position in positions}) > 1:
            for position, text in _apart([names[one] for one in positions], positions, most):
                cut_names[position] = text
    return cut_names


def _apart(names: Sequence[str], positions: Sequence[int], most: int) -> Iterator[tuple[int, str]]:
    """Shorten names by what they share: the folders in which they differ stay."""
    start, end = _common(names, "/")
    if max(len(name) for name in names) - start - end > most - 4:
        start, end = _common(names, "")
    for name, position in zip(names, positions, strict=True):
        kept = _middle(name[start : len(name) - end], most - 4)
        room = most - len(kept) - 2
        head = min(start, max(room // 3, room - end))
        tail = min(end, room - head)
        yield (
            position,
            f"{name[:head]}{'…' if head < start else ''}{kept}"
            f"{'…' if tail < end else ''}{name[len(name) - tail :] if tail else ''}",
        )


def _common(names: Sequence[str], border: str) -> tuple[int, int]:
    """How many characters all names share at their start and at their end, up to a border."""
    start = _shared(names, border)
    return start, _shared([name[start:][::-1] for name in names], border)


def _shared(names: Sequence[str], border: str) -> int:
    length = 0
    for column in zip(*names, strict=False):
        if len(set(column)) > 1:
            break
        length += 1
    return names[0].rfind(border, 0, length) + 1 if border else length


def _middle(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    return f"{text[: most // 3]}…{text[-(most - most // 3 - 1) :]}"


def _line(line: Styled, *, color: bool) -> str:
    if not color:
        return "".join(text for text, _ in line).rstrip()
    kept = list(line)
    while kept and not kept[-1][0].strip():
        kept.pop()
    if kept:
        kept[-1] = (kept[-1][0].rstrip(), kept[-1][1])
    return "".join(_coloured(text, style) for text, style in kept)


def _coloured(text: str, style: str) -> str:
    codes = ";".join(_CODES[word] for word in style.split())
    return f"\x1b[{codes}m{text}\x1b[0m" if codes and text else text


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[Styled]], room: int) -> list[int]:
    """The width of each column: what it needs, the widest shrunk until all of them fit."""
    widths = []
    for position, column in enumerate(columns):
        need = max((_length(row[position]) for row in rows), default=0)
        widths.append(max(column.least, need if column.most is None else min(need, column.most)))
    for position, column in enumerate(columns):
        if column.stretch:
            widths[position] = max(1, room - sum(widths) + widths[position])
    while sum(widths) > room and max(widths) > 1:
        widths[widths.index(max(widths))] -= 1
    return widths


def _length(text: Styled) -> int:
    return sum(cells(part) for part, _ in text)


def _justified(text: Styled, room: int, justify: str) -> Styled:
    free = max(0, room - _length(text))
    left = {"left": 0, "center": free // 2, "right": free}[justify]
    return [(" " * left, ""), *text, (" " * (free - left), "")]


def _cut(text: Styled, room: int) -> Styled:
    if _length(text) <= room:
        return text
    left = max(0, room - 1)
    kept: list[tuple[str, str]] = []
    for part, style in text:
        fits = _fitting(part, left)
        kept.append((part[:fits] + ("…" if fits < len(part) else ""), style))
        left -= cells(part[:fits])
        if fits < len(part):
            break
    return kept


def _fitting(text: str, room: int) -> int:
    """How many characters of a text fit."""
    if text.isascii():
        return min(len(text), room)
    used = 0
    for position, character in enumerate(text):
        used += cells(character)
        if used > room:
            return position
    return len(text)


def _wrapped(text: Styled, room: int) -> Iterator[Styled]:
    """Break between words; a word that does not fit a line is broken itself."""
    whole = "".join(part for part, _ in text)
    start = 0
    for end in (*_breaks(whole, max(1, room)), len(whole)):
        yield _between(text, start, end)
        start = end


def _breaks(text: str, room: int) -> Iterator[int]:
    """Yield the positions at which a new line begins."""
    used = 0
    for word in _WORD.finditer(text):
        start, bare = word.start(), word[0].rstrip()
        if used and used + cells(bare) > room:
            yield start
            used = 0
        while cells(bare) > room:
            fits = max(1, _fitting(bare, room))
            start += fits
            bare = bare[fits:]
            yield start
        used += cells(text[start : word.end()])


def _between(text: Styled, start: int, end: int) -> Styled:
    """The parts of a text between two positions, without spaces at the end."""
    found: list[tuple[str, str]] = []
    position = 0
    for part, style in text:
        piece = part[max(0, start - position) : max(0, end - position)]
        if piece:
            found.append((piece, style))
        position += len(part)
    if found:
        found[-1] = (found[-1][0].rstrip(), found[-1][1])
    return found
