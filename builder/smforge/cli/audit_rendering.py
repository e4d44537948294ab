"""The forms that ``smforge audit`` can write."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from smforge.report.model import Report

_NARROWEST = 60


def render(reports: Sequence[Report], form: str, *, to_terminal: bool) -> str:
    """Write reports in one form; several become one document where the form allows it."""
    match form:
        case "json":
            from smforge.report.build import to_json  # noqa: PLC0415

            texts = [to_json(report) for report in reports]
            return texts[0] if len(texts) == 1 else f"[{','.join(texts)}]"
        case "markdown":
            from smforge.report.markdown import render_markdown  # noqa: PLC0415

            return render_markdown(reports)
        case "junit":
            from smforge.report.junit import render_junit  # noqa: PLC0415

            return render_junit(reports)
        case "sarif":
            from smforge.report.sarif import render_sarif  # noqa: PLC0415

            return render_sarif(reports)
        case _:
            return _tables(reports, to_terminal=to_terminal)


def _tables(reports: Sequence[Report], *, to_terminal: bool) -> str:
    from smforge.report.table import render_table  # noqa: PLC0415
    from smforge.report.text.layout import WIDTH  # noqa: PLC0415

    color = to_terminal and sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    width = WIDTH
    if to_terminal and sys.stdout.isatty():
        import shutil  # noqa: PLC0415

        width = max(_NARROWEST, shutil.get_terminal_size((WIDTH, 24)).columns)
    return "\n".join(render_table(report, width=width, color=color) for report in reports)
