"""A comparison for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from smforge.report.diff import model, outline
from smforge.report.text.layout import WIDTH, Column, Styled, cut, grid, paragraph, rendered
from smforge.report.text.printable import printable
from smforge.report.text.wording import VERDICT_COLOURS, plural


def render_table(diff: model.Diff, *, width: int = WIDTH, color: bool = False) -> str:
    """Return the comparison as text of at most `width` columns.

    Escape codes are in it only with `color`.
    """
    return rendered(list(_parts(diff, width)), color=color) + "\n"


def _parts(diff: model.Diff, width: int) -> Iterator[Styled]:
    yield from paragraph(_text(outline.title(diff), "bold"), width)
    first, *rest = (*outline.sentences(diff), "")
    verdict = (diff.verdict.upper(), VERDICT_COLOURS[diff.verdict])
    yield from paragraph([verdict, (f"  {printable(first)}", "")], width)
    for sentence in filter(None, rest):
        yield from paragraph(_text(sentence), width)
    for section in outline.families(diff):
        yield from _families(section, width)
    for rows in outline.tables(diff):
        yield from _table(rows, width)


def _table(rows: outline.Rows, width: int) -> Iterator[Styled]:
    yield []
    yield _text(rows.title, "bold")
    columns = [Column("right" if column.number else "left") for column in rows.columns]
    head = [_text(column.title, "dim") for column in rows.columns]
    body = [[_text(cell) for cell in row] for row in rows.rows]
    yield from grid(columns, [head, *body], width)


def _families(section: outline.Groups, width: int) -> Iterator[Styled]:
    yield []
    yield _text(section.title, "bold")
    for group in section.groups:
        yield from paragraph(_text(group.heading), width, indent=2)
        for count, name in group.families:
            yield cut(_text(f"{count:>9,}  {name}"), width)
        if group.left_off:
            more = plural(group.left_off, "more family", "more families")
            yield from paragraph(_text(f"and {more}"), width, indent=11)
    if section.left_off:
        more = f"and {section.left_off:,} more headings: -o json has all of them"
        yield from paragraph(_text(more), width, indent=2)


def _text(text: str, style: str = "") -> Styled:
    return [(printable(text), style)]
