"""The preflight report for a terminal: the answer, the devices, the causes, then the sources."""

from __future__ import annotations

from collections.abc import Iterator

from smforge.findings import Level
from smforge.preflight.records import Preflight
from smforge.report.preflight.outline import Rows, devices, heading, headline, sources, told
from smforge.report.text.layout import WIDTH, Column, Styled, grid, paragraph, rendered
from smforge.report.text.printable import printable
from smforge.report.text.wording import VERDICT_COLOURS

_COLOURS = {Level.ERROR: "red", Level.WARNING: "yellow", Level.NOTE: "cyan"}


def render_table(
    preflight: Preflight, *, width: int = WIDTH, color: bool = False, listed: bool = False
) -> str:
    """The report as text; `listed` adds what each extension is compiled for.

    Escape codes are in it only with `color`.
    """
    lines = [*_parts(preflight, width), *(_listed(preflight, width) if listed else ())]
    return rendered(lines, color=color) + "\n"


def _parts(preflight: Preflight, width: int) -> Iterator[Styled]:
    verdict = preflight.outcome.value
    yield from paragraph([(printable(heading(preflight)), "bold")], width)
    yield []
    answer = (f"  {printable(headline(preflight))}", "")
    yield from paragraph([(verdict.upper(), VERDICT_COLOURS[verdict]), answer], width)
    yield []
    for rows in devices(preflight):
        yield from _table(rows, width)
        yield []
    for finding in preflight.findings:
        head = [(f"{finding.level} ", _COLOURS[finding.level]), (f"{finding.rule}: ", "bold")]
        yield from paragraph([*head, (printable(told(finding)), "")], width)


def _listed(preflight: Preflight, width: int) -> Iterator[Styled]:
    for rows in sources(preflight):
        yield []
        yield from _table(rows, width)


def _table(rows: Rows, width: int) -> Iterator[Styled]:
    columns = [Column("right" if one in rows.numbers else "left") for one in rows.columns]
    head: list[Styled] = [[(one, "bold")] for one in rows.columns]
    body: list[list[Styled]] = [[[(printable(cell), "")] for cell in row] for row in rows.rows]
    return grid(columns, [head, *body], width)
