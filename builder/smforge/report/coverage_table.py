"""The table of libraries by device: how each of them runs on each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from smforge.report import model, outline
from smforge.report.layout import Column, Styled, cells, grid, paragraph, shortened
from smforge.report.printable import printable
from smforge.report.state import SHOWN, Counts, State, brief, state_of

_MOST_LINES = 40
"""Libraries shown, the worst first; `-o json` has all."""
_MOST_BRIEF = 3
"""Devices up to which words say a library's state; for more, there is room for marks alone."""
_SHORTEST_NAME = 20

_COLOURS = {
    State.NATIVE: "green",
    State.PTX: "yellow",
    State.PARTIAL: "red",
    State.NONE: "bold red",
    State.EXCUSED: "cyan",
    State.FOREIGN: "dim",
    State.UNREACHABLE: "dim",
    State.UNCLEAR: "magenta",
    State.EMPTY: "",
}
_NOTHING_REQUIRED = {State.NATIVE: "green", State.PTX: "yellow"}
"""Where nothing was required, what does not run is nothing bad."""


def coverage(report: model.Report, width: int) -> Iterator[Styled]:
    """Yield the lines of the table, and the meaning of its marks where words do not fit."""
    lines = outline.lines(report)
    shown = lines[:_MOST_LINES]
    devices = list(report.devices)
    marked = len(devices) > _MOST_BRIEF
    colours = _NOTHING_REQUIRED if report.nothing_required else _COLOURS
    # Many devices leave no room for what `-o json` has too.
    headings = [*(() if marked else ("size", "CUDA")), report.counted, *devices]
    states = [_cells(line, devices, colours, marked=marked) for line in shown]
    columns = [
        Column(
            _side(report, heading, marked=marked),
            least=max(cells(heading), *(cells(row[position][0]) for row in states)),
        )
        for position, heading in enumerate(headings)
    ]
    room = max(width - sum(column.least + 1 for column in columns), _SHORTEST_NAME)
    rows: list[list[Styled]] = [[[(heading, "bold")] for heading in ("library", *headings)]]
    names = shortened([printable(line.name) for line in shown], room)
    for name, row in zip(names, states, strict=True):
        rows.append([[(name, "")], *([cell] for cell in row)])
    yield from grid([Column(most=room, cut=True), *columns], rows, width, gap=1)
    if len(lines) > len(shown):
        yield [(f"and {len(lines) - len(shown):,} more", "dim")]
    if marked:
        yield from paragraph([(_legend(), "dim")], width)


def _legend() -> str:
    meant = (one for state, one in SHOWN.items() if state is not State.EMPTY)
    return "   ".join(f"{one.mark} {one.meaning}" for one in meant)


def _side(
    report: model.Report, heading: str, *, marked: bool
) -> Literal["left", "center", "right"]:
    if heading not in report.devices:
        return "right"
    return "center" if marked else "left"


def _cells(
    line: outline.Line, devices: list[str], colours: dict[State, str], *, marked: bool
) -> list[tuple[str, str]]:
    found = ["" if line.kernels is None else f"{line.kernels:,}"]
    if not marked:
        found = [f"{line.size / 1e6:,.1f} MB", line.toolkit or "?", *found]
    return [
        *((text, "") for text in found),
        *(_cell(line.devices[device], colours, marked=marked) for device in devices),
    ]


def _cell(counts: Counts, colours: dict[State, str], *, marked: bool) -> tuple[str, str]:
    state = state_of(counts)
    return SHOWN[state].mark if marked else brief(counts), colours.get(state, "")
