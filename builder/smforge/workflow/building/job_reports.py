"""The results of a run of builds in the formats of CI systems: Markdown, JUnit and SARIF.

A cell that failed before its audit is in each of them as undetermined, so that no file of a failed
job looks as if everything had passed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from smforge.errors import BuildFailedError, SmforgeError
from smforge.plan.records import Cell
from smforge.report.build import report_of
from smforge.report.markdown import MOST_BYTES, render_markdown
from smforge.report.model import Report
from smforge.report.text.markdown import code, plain
from smforge.report.text.wording import plural
from smforge.verdict.reading import Backend
from smforge.verdict.unread import unread
from smforge.workflow.audit_request import request_of
from smforge.workflow.building.results import Built
from smforge.workflow.building.summary import closing_lines, rows

_MOST_EXCERPT = 40


def render_job(results: Sequence[Built], form: str, not_begun: Sequence[Cell] = ()) -> str:
    """The results in one of `JOB_FORMATS`, with the cells that were to follow."""
    reports = [report for built in results for report in reports_of(built)]
    reports += [_unknown(cell, BuildFailedError("It was not begun.")) for cell in not_begun]
    match form:
        case "markdown":
            head = "\n".join(_head(results)) + "\n"
            return head + render_markdown(reports, MOST_BYTES - len(head.encode()))
        case "junit":
            from smforge.report.junit import render_junit  # noqa: PLC0415  # defers xml

            return render_junit(reports)
        case _:
            from smforge.report.sarif import render_sarif  # noqa: PLC0415  # defers hashlib

            return render_sarif(reports)


def reports_of(built: Built) -> tuple[Report, ...]:
    """The reports on a cell: those of its audit, those beside its record, or one of its failure."""
    if built.audit is not None:
        return built.audit.reports
    if built.error is None:
        return tuple(_saved(built))
    return (_unknown(built.cell, built.error),)


def _unknown(cell: Cell, error: SmforgeError) -> Report:
    """A report that says that nothing is known of a cell, and why."""
    request = request_of(
        words=(str(cell.requirements),),
        variant=None,
        config=None,
        driver=None,
        native=False,
        allowed=(),
        policies=(),
        shipped=False,
    )
    name = f"{cell.variant} {cell.platform}"
    return report_of(unread(name, error, request, Backend.NATIVE, name))


def _saved(built: Built) -> Iterator[Report]:
    from smforge.report.saved import report_from_json  # noqa: PLC0415  # defers pydantic

    record = built.record
    for audit in (record.audit, record.image_audit) if record else ():
        if audit is not None and audit.report is not None:
            yield report_from_json((built.paths.final / audit.report).read_bytes())


def _head(results: Sequence[Built]) -> Iterator[str]:
    """The table of the bake targets, and what made a cell fail."""
    yield "| build | target | time | state | size | verdict |"
    yield "|---|---|--:|---|--:|---|"
    for row in rows(results):
        cells = (row.cell, row.target, row.time, row.state, row.size, row.verdict)
        yield f"| {' | '.join(cells)} |"
    yield ""
    for line in closing_lines(results):
        yield f"- {plain(line)}"
    for built in results:
        yield from _preflight(built)
    for built in results:
        if built.error is None:
            continue
        yield from (f"- ❌ {plain(' '.join(line.split()))}" for line in built.error.lines)
        excerpt: Sequence[str] = getattr(built.error, "excerpt", ())
        yield from (f"  - {code(line)}" for line in excerpt[-_MOST_EXCERPT:])
    yield ""


def _preflight(built: Built) -> Iterator[str]:
    """What the sources said before the build; a loss that stops it is among the errors."""
    found = built.record.preflight if built.record else None
    for one in found.components if found else ():
        stopping = f", {plural(one.findings, 'finding')} that stop a build" if one.findings else ""
        yield f"- preflight of {one.component}: {one.verdict}{stopping}"
        for each in one.collapsed:
            yield f"  - {each.target} is compiled as {', '.join(each.compiled_as)}"
