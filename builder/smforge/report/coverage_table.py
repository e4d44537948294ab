"""The table of libraries by device: how each of them gets along on each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from smforge.report import model, outline
from smforge.report.layout import Column, Styled, cells, grid, paragraph
from smforge.report.printable import printable

_MOST_LINES = 40
"""Libraries shown, the worst first; `-o json` has all."""
_MOST_BRIEF = 3
"""Devices up to which a library's state is told in words; beyond, marks alone fit."""
_SHORTEST_NAME = 20

_COLOURS = {
    outline.Mark.NATIVE: "green",
    outline.Mark.PTX: "yellow",
    outline.Mark.PARTIAL: "red",
    outline.Mark.NONE: "bold red",
    outline.Mark.EXEMPT: "cyan",
    outline.Mark.FOREIGN: "dim",
    outline.Mark.EMPTY: "",
}


def coverage(report: model.Report, width: int) -> Iterator[Styled]:
    """Yield the lines of the table, and the meaning of its marks where words do not fit."""
    lines = outline.lines(report)
    shown = lines[:_MOST_LINES]
    devices = list(report.devices)
    marked = len(devices) > _MOST_BRIEF
    # Many devices leave no room for what `-o json` has too.
    headings = [*(() if marked else ("size", "CUDA")), report.counted, *devices]
    states = [_cells(line, devices, marked=marked) for line in shown]
    columns = [
        Column(
            _side(report, heading, marked=marked),
            least=max(cells(heading), *(cells(row[position][0]) for row in states)),
        )
        for position, heading in enumerate(headings)
    ]
    room = max(width - sum(column.least + 1 for column in columns), _SHORTEST_NAME)
    rows: list[list[Styled]] = [[[(heading, "bold")] for heading in ("library", *headings)]]
    for line, row in zip(shown, states, strict=True):
        name = shortened(printable(line.name), room)
        rows.append([[(name, "")], *([cell] for cell in row)])
    yield from grid([Column(most=room, cut=True), *columns], rows, width, gap=1)
    if len(lines) > len(shown):
        yield [(f"and {len(lines) - len(shown):,} more", "dim")]
    if marked:
        legend = "   ".join(f"{mark} {meaning}" for mark, meaning in outline.MARKS.items())
        yield from paragraph([(legend, "dim")], width)


def _side(
    report: model.Report, heading: str, *, marked: bool
) -> Literal["left", "center", "right"]:
    if heading not in report.devices:
        return "right"
    return "center" if marked else "left"


def _cells(line: outline.Line, devices: list[str], *, marked: bool) -> list[tuple[str, str]]:
    found = ["" if line.kernels is None else f"{line.kernels:,}"]
    if not marked:
        found = [f"{line.size / 1e6:,.1f} MB", line.toolkit or "?", *found]
    states = [(outline.mark(line.devices[device]), line.devices[device]) for device in devices]
    return [
        *((text, "") for text in found),
        *(
            (str(state) if marked else outline.brief(tally), _COLOURS[state])
            for state, tally in states
        ),
    ]


def shortened(path: str, most: int) -> str:
    """Cut a path in the middle: its end names the library, its start the package."""
    if len(path) <= most:
        return path
    return f"{path[: most // 3]}…{path[-(most - most // 3 - 1) :]}"
