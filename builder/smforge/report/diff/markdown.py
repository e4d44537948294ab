"""A comparison as Markdown, for pull requests and job summaries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from smforge.report.diff import model, outline
from smforge.report.text.markdown import plain
from smforge.report.text.wording import plural


def render_markdown(diff: model.Diff) -> str:
    """Return the comparison as GitHub's Markdown."""
    return "\n".join(_lines(diff)) + "\n"


def _lines(diff: model.Diff) -> Iterator[str]:
    yield f"## {plain(outline.title(diff))}"
    yield ""
    yield f"**{diff.verdict}**"
    yield ""
    for sentence in outline.sentences(diff):
        yield f"- {plain(sentence)}"
    for section in outline.families(diff):
        yield from _families(section)
    for rows in outline.tables(diff):
        yield from _table(rows)


def _families(section: outline.Groups) -> Iterator[str]:
    yield f"\n### {section.title}\n"
    for group in section.groups:
        yield f"- {plain(group.heading)}"
        for count, name in group.families:
            yield f"  - {count:,} {plain(name)}"
        if group.left_off:
            yield f"  - and {plural(group.left_off, 'more family', 'more families')}"
    if section.left_off:
        yield f"- and {section.left_off:,} more headings"


def _table(rows: outline.Rows) -> Iterator[str]:
    yield f"\n### {rows.title}\n"
    yield _row([column.title for column in rows.columns])
    yield _row(["--:" if column.number else ":--" for column in rows.columns])
    for row in rows.rows:
        yield _row([plain(cell) for cell in row])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
