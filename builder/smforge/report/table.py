"""The report for a terminal: the answer, what fails, what it runs on."""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Literal

from smforge.arch.devices import find_device
from smforge.arch.target import ComputeCapability
from smforge.report import finding_groups, model, outline
from smforge.report.state import (
    SHOWN,
    Counts,
    State,
    brief,
    counts_of,
    device_state,
    state_of,
    words,
)
from smforge.report.text.layout import (
    WIDTH,
    Column,
    Styled,
    cells,
    cut,
    grid,
    paragraph,
    rendered,
    shortened,
)
from smforge.report.text.printable import printable
from smforge.report.text.wording import VERDICT_COLOURS, plural

_MOST_ROWS = 12
"""Libraries listed below one finding; `-o json` has all."""
_WIDE = 56
"""Characters of a path in the line of its finding."""

_LEVELS = {"error": "red", "warning": "yellow", "note": "cyan"}
_MOST_LINES = 40
"""Libraries shown, the worst first; `-o json` has all."""
_MOST_BRIEF = 3
"""Devices up to which words say a library's state; for more, there is room for marks alone."""
_SHORTEST_NAME = 20

_STATES = {
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
_UNASKED = {State.NATIVE: "green", State.PTX: "yellow"}
"""Where nothing was required, what does not run is nothing bad."""


def render_table(report: model.Report, *, width: int = WIDTH, color: bool = False) -> str:
    """Return the report as text of at most `width` columns, kernel names excepted.

    Escape codes are in it only with `color`.
    """

    lines = [*_parts(report, width), *_kernels(report)]
    return rendered(lines, color=color) + "\n"


def _parts(report: model.Report, width: int) -> Iterator[Styled]:
    yield from paragraph(_text(report.subject.name, "bold"), width)
    yield from paragraph(_text(outline.subject_line(report), "dim"), width)
    yield from paragraph(_text(outline.backend_line(report), "dim"), width)
    yield []
    answer = [_verdict(report), ("  ", ""), (printable(outline.headline(report)), "")]
    yield from paragraph(answer, width)
    if report.files:
        yield []
        yield from _devices(report, width)
    for group in finding_groups.groups(report):
        yield []
        yield from _finding_group(group, width)
    if report.files:
        yield []
        yield from _coverage(report, width)
    if report.exempted:
        yield []
        yield from _excused(report, width)


def _verdict(report: model.Report) -> tuple[str, str]:
    word = outline.verdict_word(report)
    return word.upper(), VERDICT_COLOURS[word]


def _finding_group(group: finding_groups.Group, width: int) -> Iterator[Styled]:
    about = f" {group.about}" if group.about else ""
    head = (f"{group.level} {group.rule}{about}:", f"bold {_LEVELS[group.level]}")
    yield from paragraph([head, (printable(f" {group.told}"), "")], width)
    rows = group.rows[:_MOST_ROWS]
    names = shortened([printable(row.file) for row in rows], _WIDE)
    for row, name in zip(rows, names, strict=True):
        yield from _finding_row(row, name, width)
    rest = len(group.rows) - _MOST_ROWS
    if rest > 0:
        yield from paragraph(_text(f"    and {rest:,} more", "dim"), width)
    if group.remedy:
        yield from paragraph(_text(f"Remedy: {group.remedy}", "italic"), width, indent=2)


def _finding_row(row: finding_groups.Row, name: str, width: int) -> Iterator[Styled]:
    if not row.file:
        yield from paragraph(_text(row.detail), width, indent=4)
        return
    columns = [Column(cut=True, stretch=True), Column("right", most=WIDTH // 2)]
    yield from grid(columns, [[_text(name), _text(row.share or row.detail)]], width, indent=4)
    if row.families:
        families = [(f"{one.count:,}", one.name, one.embedded) for one in row.families]
        if row.more:
            number, _, text = row.more.partition(" ")
            families.append((number, text, ""))
        rows = [
            [_text(number), _text(name, "dim"), _text(codes)] for number, name, codes in families
        ]
        columns = [Column("right", least=7), Column(cut=True), Column()]
        yield from grid(columns, rows, width, indent=4)


def _excused(report: model.Report, width: int) -> Iterator[Styled]:
    """A line for each exception and one for its reason; Markdown and JSON have all of both."""
    yield _text("excused by policy", "bold")
    for one in report.exempted:
        devices = " ".join(one.devices)
        head = f"{plural(one.kernels, 'kernel')} on {devices} ({one.policy}): {one.pattern}"
        expires = f"until {one.expires}: " if one.expires else ""
        yield cut(_text(head), width, indent=4)
        yield cut(_text(f"{expires}{one.reason}", "dim"), width, indent=8)


def _devices(report: model.Report, width: int) -> Iterator[Styled]:
    colours = _UNASKED if report.nothing_required else _STATES
    rows = [
        [
            _text(device, "bold"),
            _text(_products(device), "dim"),
            _text(
                outline.device_verdict(tally),
                colours.get(device_state(tally.verdict, counts_of(tally)), ""),
            ),
            _text(words(counts_of(tally))),
        ]
        for device, tally in report.devices.items()
    ]
    return grid([Column()] * 4, rows, width)


def _text(text: str, style: str = "") -> Styled:
    return [(printable(text), style)]


def _products(device: str) -> str:
    found = find_device(ComputeCapability.parse(device))
    return found.products[0] if found and found.products else ""


def _kernels(report: model.Report) -> Iterator[Styled]:
    for file in report.files:
        if file.kernels:
            yield []
            yield _text(file.path, "bold")
        for kernel in file.kernels:
            excused = " (excused)" if kernel.exempt else ""
            yield _text(f"  {kernel.demangled}  [{' '.join(outline.forms(kernel))}]{excused}")


def _coverage(report: model.Report, width: int) -> Iterator[Styled]:
    """Yield the lines of the table, and the meaning of its marks where words do not fit."""
    lines = outline.lines(report)
    shown = lines[:_MOST_LINES]
    devices = list(report.devices)
    marked = len(devices) > _MOST_BRIEF
    colours = _UNASKED if report.nothing_required else _STATES
    # Many devices leave no room for what `-o json` has too.
    headings = [*(() if marked else ("size", "CUDA")), report.counted, *devices]
    states = [_coverage_cells(line, devices, colours, marked=marked) for line in shown]
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
        used = {state_of(line.devices[device]) for line in shown for device in devices}
        yield from _legend(used, width)


def _legend(used: Set[State], width: int) -> Iterator[Styled]:
    """What the marks mean that stand in the table; no meaning is broken over two lines."""
    meant = [
        f"{one.mark} {one.meaning}" for state, one in SHOWN.items() if state in used - {State.EMPTY}
    ]
    while meant:
        line = meant.pop(0)
        while meant and cells(line) + 3 + cells(meant[0]) <= width:
            line += f"   {meant.pop(0)}"
        yield [(line, "dim")]


def _side(
    report: model.Report, heading: str, *, marked: bool
) -> Literal["left", "center", "right"]:
    if heading not in report.devices:
        return "right"
    return "center" if marked else "left"


def _coverage_cells(
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
