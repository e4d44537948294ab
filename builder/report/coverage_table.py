"""The table of libraries by device: how each of them gets along on each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from builder.report import model, outline
from builder.report.printable import printable

_MOST_LINES = 40
"""Libraries shown, the worst first; `-o json` has all."""
_MOST_BRIEF = 3
"""Devices up to which a library's state is told in words; beyond, marks alone fit."""
_SHORTEST_NAME = 24

_COLOURS = {
    outline.Mark.NATIVE: "green",
    outline.Mark.PTX: "yellow",
    outline.Mark.PARTIAL: "red",
    outline.Mark.NONE: "bold red",
    outline.Mark.EXEMPT: "cyan",
    outline.Mark.FOREIGN: "dim",
    outline.Mark.EMPTY: "",
}


def coverage(report: model.Report, width: int) -> Iterator[RenderableType]:
    """Yield the table, and the meaning of its marks where words do not fit."""
    lines = outline.lines(report)
    shown = lines[:_MOST_LINES]
    devices = list(report.devices)
    marked = len(devices) > _MOST_BRIEF
    # Many devices leave no room for what `-o json` has too.
    headings = [*(() if marked else ("size", "CUDA")), report.counted, *devices]
    cells = [_cells(line, devices, marked=marked) for line in shown]
    widths = [
        max(len(heading), *(row[position].cell_len for row in cells))
        for position, heading in enumerate(headings)
    ]
    room = max(width - sum(widths) - len(widths), _SHORTEST_NAME)
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("library", no_wrap=True, max_width=room, overflow="ellipsis")
    for heading, wide in zip(headings, widths, strict=True):
        table.add_column(heading, justify=_side(report, heading, marked=marked), width=wide)
    for line, row in zip(shown, cells, strict=True):
        table.add_row(shortened(printable(line.name), room), *row)
    yield table
    if len(lines) > len(shown):
        yield Text(f"and {len(lines) - len(shown):,} more", style="dim")
    if marked:
        legend = "   ".join(f"{mark} {meaning}" for mark, meaning in outline.MARKS.items())
        yield Text(legend, style="dim")


def _side(
    report: model.Report, heading: str, *, marked: bool
) -> Literal["left", "center", "right"]:
    if heading not in report.devices:
        return "right"
    return "center" if marked else "left"


def _cells(line: outline.Line, devices: list[str], *, marked: bool) -> list[Text]:
    cells = [Text("" if line.kernels is None else f"{line.kernels:,}")]
    if not marked:
        cells = [Text(f"{line.size / 1e6:,.1f} MB"), Text(line.toolkit or "?"), *cells]
    for device in devices:
        tally = line.devices[device]
        state = outline.mark(tally)
        cells.append(Text(str(state) if marked else outline.brief(tally), style=_COLOURS[state]))
    return cells


def shortened(path: str, most: int) -> str:
    """Cut a path in the middle: its end names the library, its start the package."""
    if len(path) <= most:
        return path
    return f"{path[: most // 3]}…{path[-(most - most // 3 - 1) :]}"
