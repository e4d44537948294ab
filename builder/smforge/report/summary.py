"""One line per subject: verdict, name, answer, and the state on each required device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from smforge.report import model, outline
from smforge.report.state import brief, counts_of
from smforge.report.text.layout import Styled, rendered
from smforge.report.text.printable import printable
from smforge.report.text.wording import VERDICT_COLOURS


def render_summary(reports: Sequence[model.Report], *, color: bool = False) -> str:
    """Return a line for each report, in their order. Lines and names are never cut."""
    return rendered(list(_lines(reports)), color=color) + "\n"


def _lines(reports: Sequence[model.Report]) -> Iterator[Styled]:
    verdicts = [outline.verdict_word(report) for report in reports]
    width = max(map(len, verdicts))
    for verdict, report in zip(verdicts, reports, strict=True):
        parts = [printable(report.subject.name), outline.headline(report), *_required(report)]
        yield [
            (verdict.upper().ljust(width), VERDICT_COLOURS[verdict]),
            ("  " + "  ".join(parts), ""),
        ]


def _required(report: model.Report) -> Iterator[str]:
    for device, tally in report.devices.items():
        if device in report.question.requirements:
            yield f"{device} {brief(counts_of(tally))}".rstrip()
