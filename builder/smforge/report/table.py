"""The report for a terminal: the answer, what fails, what it runs on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set

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
    tied,
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
_HEAD = "library"
_SHORTEST_NAME = 20
_MOST_SOURCES = 4
"""Sources and families shown for one reason; `-o json` has all."""
_NAME = 34
"""Characters of a name that the words of the states leave."""
_WORDS = 16
"""Characters of a state in words: ``◐ 2,587 missing,``."""
_DISPENSABLE = ("size", "CUDA")

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
    for reason in report.reasons:
        yield []
        yield from _reason(reason, width)
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


def _reason(reason: model.Reason, width: int) -> Iterator[Styled]:
    head = (f"why {reason.device} {reason.cause}:", "bold")
    yield from paragraph([head, (printable(f" {outline.reason_line(reason)}"), "")], width)
    yield from paragraph(_text(reason.file), width, indent=4)
    for name in reason.sources[:_MOST_SOURCES]:
        yield from paragraph(_text(name, "dim"), width, indent=6)
    rest = len(reason.sources) - _MOST_SOURCES
    if rest > 0:
        yield from paragraph(_text(f"and {plural(rest, 'more source')}", "dim"), width, indent=6)
    for family in reason.families[:_MOST_SOURCES]:
        yield from paragraph(_text(f"{family.count:>7,}  {family.name}"), width, indent=4)
    more = reason.families[_MOST_SOURCES:]
    if more:
        left = sum(family.count for family in more)
        told = f"{left:>7,}  in {plural(len(more), 'more family', 'more families')}"
        yield from paragraph(_text(told, "dim"), width, indent=4)


def _finding_row(row: finding_groups.Row, name: str, width: int) -> Iterator[Styled]:
    if not row.file:
        yield from paragraph(_text(row.detail), width, indent=4)
        return
    columns = [Column(cut=True, stretch=True), Column("right", most=WIDTH // 2)]
    # On a wide terminal the eye would lose the line between a name and its number.
    line = [[_text(name), _text(row.share or row.detail)]]
    yield from grid(columns, line, min(width, WIDTH), indent=4)
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
        head = f"{plural(one.kernels, 'kernel')} ({one.policy}): {one.pattern}"
        expires = f"until {one.expires}: " if one.expires else ""
        reason = f"on {' '.join(one.devices)}: {expires}{one.reason}"
        yield cut(_text(head), width, indent=4)
        yield cut(_text(reason, "dim"), width, indent=8)


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
            [(_tied(words(counts_of(tally))), "")],
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
    heads, marked = _fitting(report, shown, width)
    facts = [[_fact(line, head) for head in heads] for line in shown]
    columns = [Column("right", least=_need(column)) for column in zip(heads, *facts, strict=True)]
    room = width - sum(column.least + 1 for column in columns)
    names = [printable(line.name) for line in shown]
    states, most = _state_columns(report, shown, room, marked=marked)
    colours = _UNASKED if report.nothing_required else _STATES
    devices = tuple(report.devices)
    rows: list[list[Styled]] = [[[(word, "bold")] for word in (_HEAD, *heads, *devices)]]
    for line, name, fact in zip(shown, shortened(names, most), facts, strict=True):
        found = [_cell(line.devices[device], colours, marked=marked) for device in devices]
        rows.append([[(name, "")], *([(one, "")] for one in fact), *([one] for one in found)])
    yield from grid([Column(most=most, cut=True), *columns, *states], rows, width, gap=1)
    if len(lines) > len(shown):
        yield [(f"and {len(lines) - len(shown):,} more", "dim")]
    if marked:
        used = {state_of(line.devices[device]) for line in shown for device in devices}
        yield from _legend(used, width)


def _fitting(
    report: model.Report, shown: Sequence[outline.Line], width: int
) -> tuple[tuple[str, ...], bool]:
    """The facts about a library that there is room for, and whether its states are marks.

    What `-o json` has too makes room first, then the words of the states.
    """
    facts = (*_DISPENSABLE, report.counted)
    if len(report.devices) <= _MOST_BRIEF:
        longest = _longest(shown)
        states = len(report.devices) * (_WORDS + 1)
        for heads in (facts, facts[-1:]):
            needs = (_need((head, *(_fact(line, head) for line in shown))) for head in heads)
            if min(longest, _NAME) + sum(need + 1 for need in needs) + states <= width:
                return heads, False
    return facts[-1:], True


def _state_columns(
    report: model.Report, shown: Sequence[outline.Line], room: int, *, marked: bool
) -> tuple[list[Column], int]:
    """The columns of the devices, and the most that the names may take of the room."""
    if marked:
        columns = [Column("center", least=cells(device)) for device in report.devices]
        return columns, max(room - sum(one.least + 1 for one in columns), _SHORTEST_NAME)
    needs = [
        _need((device, *(brief(line.devices[device]) for line in shown)))
        for device in report.devices
    ]
    longest = _longest(shown)
    left = room - sum(need + 1 for need in needs)
    if left >= longest:
        return [Column()] * len(needs), longest
    most = max(left, min(longest, _NAME))
    share = (room - min(longest, most)) // len(needs) - 1
    return [Column(most=max(share, _WORDS)) for _ in needs], most


def _longest(shown: Sequence[outline.Line]) -> int:
    return _need((_HEAD, *(printable(line.name) for line in shown)))


def _need(texts: Iterable[str]) -> int:
    return max(map(cells, texts))


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


def _fact(line: outline.Line, head: str) -> str:
    if head == "size":
        return f"{line.size / 1e6:,.1f} MB"
    if head == "CUDA":
        return line.toolkit or "?"
    return "" if line.kernels is None else f"{line.kernels:,}"


def _cell(counts: Counts, colours: dict[State, str], *, marked: bool) -> tuple[str, str]:
    state = state_of(counts)
    return SHOWN[state].mark if marked else _tied(brief(counts)), colours.get(state, "")


def _tied(parts: str) -> str:
    """``2,587 missing, 525 excused``, broken after a comma alone."""
    return ", ".join(tied(part) for part in parts.split(", "))
