"""The preflight report as Markdown, for pull requests and job summaries."""

from __future__ import annotations

from collections.abc import Iterator

from smforge.preflight.records import Preflight
from smforge.report.preflight.outline import Rows, devices, heading, headline, sources, told
from smforge.report.text.markdown import plain


def render_markdown(preflight: Preflight, *, listed: bool = False) -> str:
    """The report as text; `listed` adds what each extension is compiled for."""
    return "\n".join(_lines(preflight, listed=listed)) + "\n"


def _lines(preflight: Preflight, *, listed: bool) -> Iterator[str]:
    yield f"## Preflight: {plain(heading(preflight))}"
    yield ""
    yield f"**{preflight.outcome}**: {plain(headline(preflight))}"
    yield ""
    for rows in devices(preflight):
        yield from _table(rows)
    for finding in preflight.findings:
        yield f"- **{finding.level}** `{finding.rule}`: {plain(told(finding))}"
    if listed:
        yield ""
        for rows in sources(preflight):
            yield from _table(rows)


def _table(rows: Rows) -> Iterator[str]:
    yield f"| {' | '.join(rows.columns)} |"
    yield "|" + "".join("--:|" if one in rows.numbers else "---|" for one in rows.columns)
    for row in rows.rows:
        yield f"| {' | '.join(plain(cell) for cell in row)} |"
    yield ""
