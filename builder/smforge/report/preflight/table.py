"""The preflight report for a terminal: the answer, what each extension gets, what is lost."""

from __future__ import annotations

from collections.abc import Iterator

from smforge.findings import Level
from smforge.preflight.records import Preflight
from smforge.report.layout import WIDTH, Column, Styled, grid, paragraph, rendered
from smforge.report.preflight.outline import Rows, heading, headline, tables, told
from smforge.report.printable import printable
from smforge.report.wording import VERDICT_COLOURS

_COLOURS = {Level.ERROR: "red", Level.WARNING: "yellow", Level.NOTE: "cyan"}


def render_table(preflight: Preflight, *, width: int = WIDTH, color: bool = False) -> str:
    """The report as text. Escape codes are in it only with `color`."""
    return rendered(list(_parts(preflight, width)), color=color) + "\n"


def _parts(preflight: Preflight, width: int) -> Iterator[Styled]:
    verdict = preflight.outcome.value
    yield from paragraph([(printable(heading(preflight)), "bold")], width)
    yield []
    answer = (f"  {printable(headline(preflight))}", "")
    yield from paragraph([(verdict.upper(), VERDICT_COLOURS[verdict]), answer], width)
    yield []
    for rows in tables(preflight):
        yield from _table(rows, width)
        yield []
    for finding in preflight.findings:
        head = [(f"{finding.level} ", _COLOURS[finding.level]), (f"{finding.rule}: ", "bold")]
        yield from paragraph([*head, (printable(told(finding)), "")], width)


def _table(rows: Rows, width: int) -> Iterator[Styled]:
    columns = [Column("right" if one in rows.numbers else "left") for one in rows.columns]
    head: list[Styled] = [[(one, "bold")] for one in rows.columns]
    body: list[list[Styled]] = [[[(printable(cell), "")] for cell in row] for row in rows.rows]
    return grid(columns, [head, *body], width)
