"""The formats that ``smforge audit`` can write."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence

from smforge.cli.output import TABLE, OutputSpec
from smforge.report.build import to_json
from smforge.report.closing import closing_text, has_closing
from smforge.report.markdown import render_markdown
from smforge.report.model import Report
from smforge.report.summary import render_summary
from smforge.report.table import render_table
from smforge.report.text.layout import WIDTH

FORMATS = ("table", "summary", "json", "markdown", "junit", "sarif", "csv", "jsonl", "html")
SUMMARY = "summary"
_NARROWEST = 60


def render(
    reports: Sequence[Report],
    form: str,
    *,
    to_terminal: bool,
    without_code: int = 0,
    several: bool = False,
) -> str:
    """Write reports in one format; several become one document if the format allows it.

    `without_code` subjects hold no GPU code and have no report; tables for people count them.
    `several` says that the audit had several subjects, however many of them have a report: what
    JSON looks like must not depend on what they hold.
    """
    match form:
        case "json":
            texts = [to_json(report) for report in reports]
            return f"[{','.join(texts)}]" if several or len(texts) > 1 else texts[0]
        case "markdown":
            return render_markdown(reports, without_code=without_code)
        case "summary":
            return render_summary(reports, color=_colored(to_terminal=to_terminal))
        case "table":
            return _tables(reports, without_code, to_terminal=to_terminal)
        case _:
            return _document(reports, form)


def _document(reports: Sequence[Report], form: str) -> str:
    """The formats whose modules load what a table does not need."""
    match form:
        case "html":
            from smforge.report.html.page import render_page  # noqa: PLC0415  # defers hashlib
            from smforge.report.html.saved_page import saved_page  # noqa: PLC0415  # defers html

            return render_page(saved_page(reports))
        case "junit":
            from smforge.report.junit import render_junit  # noqa: PLC0415  # defers xml

            return render_junit(reports)
        case "sarif":
            from smforge.report.sarif import render_sarif  # noqa: PLC0415  # defers hashlib

            return render_sarif(reports)
        case "csv":
            from smforge.report.rows.formats import render_csv  # noqa: PLC0415  # defers csv

            return render_csv(reports)
        case "jsonl":
            from smforge.report.rows.formats import render_jsonl  # noqa: PLC0415  # defers csv

            return render_jsonl(reports)
        case _:
            raise ValueError(f"a saved report is not written as {form}")


def with_summary(outputs: Iterable[OutputSpec]) -> tuple[OutputSpec, ...]:
    """The outputs of ``--summary``: it replaces tables, and is shown also if there is none."""
    found = tuple(OutputSpec(SUMMARY, one.file) if one.format == TABLE else one for one in outputs)
    if all(one.file is not None and one.format != SUMMARY for one in found):
        return (OutputSpec(SUMMARY), *found)
    return found


def _colored(*, to_terminal: bool) -> bool:
    return to_terminal and sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _tables(reports: Sequence[Report], without_code: int, *, to_terminal: bool) -> str:
    color = _colored(to_terminal=to_terminal)
    width = WIDTH
    if to_terminal and sys.stdout.isatty():
        import shutil  # noqa: PLC0415  # defers shutil

        width = max(_NARROWEST, shutil.get_terminal_size((WIDTH, 24)).columns)
    tables = [render_table(report, width=width, color=color) for report in reports]
    if has_closing(reports, without_code):
        tables.append(closing_text(reports, without_code, width=width, color=color))
    return "\n".join(tables)
