"""Writes rows as CSV and as JSON Lines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from operator import attrgetter

from smforge.report import model
from smforge.report.rows.build import rows_of
from smforge.report.rows.records import Row

COLUMNS = tuple(one.name for one in fields(Row) if one.name != "families")
_CELLS = attrgetter(*COLUMNS)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes text that begins so for a formula, and names in files are foreign text."""


def render_csv(reports: Sequence[model.Report]) -> str:
    """Return one table with a heading, for all subjects."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(map(_cells, _rows(reports)))
    return stream.getvalue()


def render_jsonl(reports: Sequence[model.Report]) -> str:
    """Return one JSON object per line, for all subjects."""
    return "".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in _rows(reports))


def _rows(reports: Sequence[model.Report]) -> Iterator[Row]:
    for report in reports:
        yield from rows_of(report)


def _cells(row: Row) -> list[str]:
    return [_cell(value) for value in _CELLS(row)]


def _cell(value: str | bool | int | None) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
