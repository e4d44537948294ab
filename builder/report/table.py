"""The report for a terminal: the answer, what fails, what it runs on."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from builder.arch.devices import find_device
from builder.arch.target import ComputeCapability
from builder.report import model, outline
from builder.report.coverage_table import coverage, shortened
from builder.report.printable import printable
from builder.terminal import printed

WIDTH = 100
_MOST_ROWS = 12
"""Libraries listed below one finding; `-o json` has all."""
_WIDE = 56
"""Characters of a path beside its finding."""

_COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}
_VERDICTS = {
    "pass": ("PASS", "bold green"),
    "fail": ("FAIL", "bold red"),
    "nothing": ("NOTHING", "bold red"),
    "undetermined": ("UNDETERMINED", "bold magenta"),
}
_DEVICE_VERDICTS = {"native": "green", "ptx": "yellow", "partial": "red", "none": "bold red"}


def render_table(report: model.Report, *, width: int = WIDTH, color: bool = False) -> str:
    """Return the report as text of at most `width` columns, kernel names excepted.

    Escape codes are in it only with `color`.
    """

    def write(console: Console) -> None:
        console.print(Group(*_parts(report, width)))
        for line in _kernels(report):
            console.print(line, soft_wrap=True)

    return printed(write, width=width, color=color) + "\n"


def _parts(report: model.Report, width: int) -> Iterator[RenderableType]:
    yield _text(report.subject.name, style="bold")
    yield _text(outline.subject_line(report), style="dim")
    yield _text(outline.backend_line(report), style="dim")
    yield Text()
    label, style = _VERDICTS[report.verdict]
    yield Text.assemble((label, style), "  ", printable(outline.headline(report)))
    if report.files:
        yield Text()
        yield _devices(report)
    for group in outline.groups(report):
        yield Text()
        yield from _finding_group(group)
    if report.files:
        yield Text()
        yield from coverage(report, width)
    if report.exempted:
        yield Text()
        yield from _exempted(report)


def _finding_group(group: outline.Group) -> Iterator[RenderableType]:
    colour = _COLOURS[group.level]
    about = f" {group.about}" if group.about else ""
    head = (f"{group.level} {group.rule}{about}:", f"bold {colour}")
    yield Text.assemble(head, printable(f" {group.told}"))
    for row in group.rows[:_MOST_ROWS]:
        yield _finding_row(row)
    rest = len(group.rows) - _MOST_ROWS
    if rest > 0:
        yield _text(f"    and {rest:,} more", style="dim")
    if group.remedy:
        yield Padding(_text(f"Remedy: {group.remedy}", style="italic"), (0, 0, 0, 2))


def _finding_row(row: outline.Row) -> RenderableType:
    if not row.file:
        return Padding(_text(row.detail), (0, 0, 0, 4))
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column(justify="right", overflow="fold", max_width=WIDTH // 2)
    table.add_row(shortened(printable(row.file), _WIDE), row.share or row.detail)
    parts: list[RenderableType] = [Padding(table, (0, 0, 0, 4))]
    names = Table.grid(padding=(0, 2))
    names.add_column(justify="right", min_width=7)
    names.add_column(no_wrap=True, overflow="ellipsis")
    for family in row.families:
        names.add_row(f"{family.count:,}", _text(family.name, style="dim"))
    if row.more:
        number, _, text = row.more.partition(" ")
        names.add_row(number, _text(text, style="dim"))
    if row.families:
        parts.append(Padding(names, (0, 0, 0, 4)))
    return Group(*parts)


def _exempted(report: model.Report) -> Iterator[RenderableType]:
    """A line for each exception and one for its reason; Markdown and JSON have all of both."""
    yield Text("excused by policy", style="bold")
    for one in report.exempted:
        devices = " ".join(one.devices)
        head = f"{one.kernels:,} kernels on {devices} ({one.policy}): {one.pattern}"
        expires = f"until {one.expires}: " if one.expires else ""
        for text, indent in ((_text(head), 4), (_text(f"{expires}{one.reason}", style="dim"), 8)):
            text.no_wrap = True
            text.overflow = "ellipsis"
            yield Padding(text, (0, 0, 0, indent))


def _devices(report: model.Report) -> Table:
    table = Table.grid(padding=(0, 2))
    for device, tally in report.devices.items():
        table.add_row(
            _text(device, style="bold"),
            _text(_products(device), style="dim"),
            _text(tally.verdict, style=_DEVICE_VERDICTS[tally.verdict]),
            outline.words(tally),
        )
    return table


def _text(text: str, style: str = "") -> Text:
    return Text(printable(text), style=style)


def _products(device: str) -> str:
    found = find_device(ComputeCapability.parse(device))
    return found.products[0] if found and found.products else ""


def _kernels(report: model.Report) -> Iterator[Text]:
    for file in report.files:
        if file.kernels:
            yield Text()
            yield _text(file.path, style="bold")
        for kernel in file.kernels:
            targets = [f"sm_{target.replace('.', '')}" for target in kernel.targets]
            targets += [f"compute_{target.replace('.', '')}" for target in kernel.ptx]
            excused = " (exempt)" if kernel.exempt else ""
            yield _text(f"  {kernel.demangled}  [{' '.join(targets)}]{excused}")
