"""The formats that ``smforge audit`` can write."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from smforge.report.build import to_json
from smforge.report.markdown import render_markdown
from smforge.report.model import Report
from smforge.report.table import render_table
from smforge.report.text.layout import WIDTH

_NARROWEST = 60


def render(reports: Sequence[Report], form: str, *, to_terminal: bool) -> str:
    """Write reports in one format; several become one document if the format allows it."""
    match form:
        case "json":
            texts = [to_json(report) for report in reports]
            return texts[0] if len(texts) == 1 else f"[{','.join(texts)}]"
        case "markdown":
            return render_markdown(reports)
        case "junit":
            from smforge.report.junit import render_junit  # noqa: PLC0415  # defers xml

            return render_junit(reports)
        case "sarif":
            from smforge.report.sarif import render_sarif  # noqa: PLC0415  # defers hashlib

            return render_sarif(reports)
        case _:
            return _tables(reports, to_terminal=to_terminal)


def _tables(reports: Sequence[Report], *, to_terminal: bool) -> str:
    color = to_terminal and sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    width = WIDTH
    if to_terminal and sys.stdout.isatty():
        import shutil  # noqa: PLC0415  # defers shutil

        width = max(_NARROWEST, shutil.get_terminal_size((WIDTH, 24)).columns)
    return "\n".join(render_table(report, width=width, color=color) for report in reports)
