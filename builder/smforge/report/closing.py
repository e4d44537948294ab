"""The table that closes an audit of several subjects: subject by device, the worst first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from smforge.report import model, outline
from smforge.report.state import SHOWN, State, brief, counts_of
from smforge.report.text.layout import WIDTH, Column, Styled, grid, rendered, shortened
from smforge.report.text.markdown import cell_code
from smforge.report.text.printable import printable
from smforge.report.text.wording import VERDICT_COLOURS, plural

_MOST_BRIEF = 3
"""Devices up to which words say a subject's state; for more, there is room for marks alone."""
_WIDE = 60
"""Characters of a name."""


def has_closing(reports: Sequence[model.Report], without_code: int) -> bool:
    """Whether there is more to say than the one report says."""
    return len(reports) > 1 or without_code > 0


def closing_text(
    reports: Sequence[model.Report],
    without_code: int,
    *,
    width: int = WIDTH,
    color: bool = False,
) -> str:
    """Return the table for a terminal. `without_code` subjects have no report."""
    return rendered(list(_lines(reports, without_code, width)), color=color) + "\n"


def closing_markdown(reports: Sequence[model.Report], without_code: int) -> Iterator[str]:
    """Yield the lines of the table in Markdown."""
    devices = _devices(reports)
    verdicts = Counter(outline.verdict_word(report) for report in _sorted(reports))
    listed = ", ".join(f"{number} {word}" for word, number in verdicts.items())
    yield f"## {plural(len(reports), 'subject')}: {listed}"
    yield ""
    yield "| subject | verdict | " + " | ".join(devices) + " |"
    yield "|---|---|" + "---|" * len(devices)
    for report in _sorted(reports):
        cells = " | ".join(_brief(report, device) for device in devices)
        yield f"| {cell_code(report.subject.name)} | {outline.verdict_word(report)} | {cells} |"
    yield ""
    if without_code:
        yield _without(without_code)
        yield ""


def _lines(reports: Sequence[model.Report], without_code: int, width: int) -> Iterator[Styled]:
    devices = _devices(reports)
    ordered = _sorted(reports)
    marked = len(devices) > _MOST_BRIEF
    names = shortened([printable(report.subject.name) for report in ordered], _WIDE)
    heading: list[Styled] = [
        [(word, "bold")] for word in (plural(len(reports), "subject"), "verdict", *devices)
    ]
    rows = [heading]
    for name, report in zip(names, ordered, strict=True):
        verdict = outline.verdict_word(report)
        cells = [_mark(report, device) if marked else _brief(report, device) for device in devices]
        rows.append(
            [
                [(name, "")],
                [(verdict.upper(), VERDICT_COLOURS[verdict])],
                *([(cell, "")] for cell in cells),
            ]
        )
    side = Column("center") if marked else Column()
    yield from grid([Column(cut=True), Column(), *[side] * len(devices)], rows, width)
    if without_code:
        yield [(_without(without_code), "dim")]
    if marked:
        used = {outline.state_on(report, device) for report in ordered for device in devices}
        meant = [f"{SHOWN[one].mark} {SHOWN[one].meaning}" for one in SHOWN if one in used]
        yield from grid([Column()], [[[("   ".join(meant), "dim")]]], width)


def _without(number: int) -> str:
    return f"{number:,} more without GPU code, which were not judged"


def _devices(reports: Sequence[model.Report]) -> list[str]:
    return list(dict.fromkeys(device for report in reports for device in report.devices))


def _sorted(reports: Sequence[model.Report]) -> list[model.Report]:
    return sorted(reports, key=outline.badness)


def _mark(report: model.Report, device: str) -> str:
    return SHOWN[outline.state_on(report, device)].mark


def _brief(report: model.Report, device: str) -> str:
    shown = SHOWN[outline.state_on(report, device)]
    if shown is SHOWN[State.UNCLEAR] or device not in report.devices:
        return f"{shown.mark} {shown.word}".strip()
    return brief(counts_of(report.devices[device]))
