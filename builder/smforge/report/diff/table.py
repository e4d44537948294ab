"""A comparison for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from smforge.report.diff import model, outline
from smforge.report.printable import printable
from smforge.report.wording import plural
from smforge.terminal import text_of

WIDTH = 100
_COLOURS = {
    "pass": "bold green",
    "fail": "bold red",
    "nothing": "bold red",
    "undetermined": "bold magenta",
}


def render_table(diff: model.Diff, *, width: int = WIDTH, color: bool = False) -> str:
    """Return the comparison as text of at most `width` columns.

    Escape codes are in it only with `color`.
    """
    return text_of(Group(*_parts(diff, width)), width=width, color=color) + "\n"


def _parts(diff: model.Diff, width: int) -> Iterator[RenderableType]:
    yield Text(printable(outline.title(diff)), style="bold", overflow="fold")
    first, *rest = (*map(printable, outline.sentences(diff)), "")
    yield Text.assemble((diff.verdict.upper(), _COLOURS[diff.verdict]), f"  {first}".rstrip())
    for sentence in filter(None, rest):
        yield Text(sentence)
    for section in outline.families(diff):
        yield from _families(section, width)
    for rows in outline.tables(diff):
        yield from _table(rows)


def _table(rows: outline.Rows) -> Iterator[RenderableType]:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for column in rows.columns:
        if column.number:
            table.add_column(column.title, justify="right", no_wrap=True)
        else:
            table.add_column(column.title, overflow="fold")
    for row in rows.rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    yield Text(f"\n{rows.title}", style="bold")
    yield table


def _families(section: outline.Groups, width: int) -> Iterator[RenderableType]:
    yield Text(f"\n{section.title}", style="bold")
    for group in section.groups:
        yield Padding(Text(printable(group.heading), overflow="fold"), (0, 0, 0, 2))
        for count, name in group.families:
            yield Text(_shortened(f"{count:>9,}  {printable(name)}", width))
        if group.left_off:
            yield Text(f"{'':9}  and {plural(group.left_off, 'more family', 'more families')}")
    if section.left_off:
        yield Text(f"  and {section.left_off:,} more headings: -o json has all of them")


def _shortened(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
