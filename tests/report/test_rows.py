"""CSV and JSON Lines: every library on every device once, and no error or warning left out."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

import smforge
from smforge.report.model import Finding, Report
from smforge.report.rows.formats import COLUMNS, render_csv, render_jsonl
from smforge.report.state import Counts

SCHEMA = json.loads(
    (Path(smforge.__file__).parent / "report/rows/data/row.schema.json").read_text()
)
COUNTS = tuple(Counts.__dataclass_fields__)


def lines(*reports: Report) -> list[dict[str, object]]:
    return [json.loads(line) for line in render_jsonl(reports).splitlines()]


def finding(level: str, file: str | None, **others: str) -> Finding:
    return Finding(
        rule="some-rule",
        level=level,  # type: ignore[arg-type]
        file=file,
        device=others.get("device"),
        target=None,
        message="It is wrong.",
        remedy=None,
    )


def test_there_is_a_row_for_each_library_on_each_device(full_report: Report) -> None:
    rows = lines(full_report)
    judged = [(row["library"], row["device"]) for row in rows if row["state"]]
    assert judged == [(file.path, one) for file in full_report.files for one in file.devices]
    for row in rows:
        jsonschema.validate(row, SCHEMA)
        assert sum(int(str(row[name])) for name in COUNTS) == row["total"]


def test_both_formats_say_the_same(full_report: Report) -> None:
    table = list(csv.DictReader(io.StringIO(render_csv([full_report, full_report]))))
    rows = lines(full_report, full_report)
    assert tuple(table[0]) == COLUMNS == tuple(SCHEMA["properties"])[:-1]
    assert len(table) == len(rows)
    for cells, row in zip(table, rows, strict=True):
        words = {None: "", True: "true", False: "false"}
        for name, cell in cells.items():
            value = row[name]
            said = words[value] if value is None or isinstance(value, bool) else str(value)
            assert cell.removeprefix("'") == said


def test_every_error_and_warning_is_in_a_row(full_report: Report) -> None:
    told = " ".join(str(row["message"]) for row in lines(full_report))
    heavy = [one for one in full_report.findings if one.level != "note"]
    assert heavy
    assert all(one.message in told for one in heavy)


@pytest.mark.parametrize("place", [None, "unread.so"])
def test_what_is_about_no_judged_library_has_its_own_row(
    full_report: Report, place: str | None
) -> None:
    bare = replace(full_report, files=(), findings=(finding("error", place, device="12.1"),))
    (row,) = lines(bare)
    assert (row["library"], row["device"], row["state"]) == (place, "12.1", None)
    assert (row["errors"], row["message"]) == ("some-rule", "It is wrong.")


def test_a_subject_with_nothing_has_a_row_with_its_verdict(full_report: Report) -> None:
    (row,) = lines(replace(full_report, files=(), findings=(), verdict="nothing"))
    assert (row["library"], row["verdict"], row["total"]) == (None, "nothing", 0)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_foreign_name_is_a_formula(full_report: Report, start: str) -> None:
    name = f'{start}HYPERLINK("x")\n,b.so'
    file = replace(full_report.files[0], path=name)
    table = csv.DictReader(io.StringIO(render_csv([replace(full_report, files=(file,))])))
    assert {row["library"] for row in table if row["state"]} == {f"'{name}"}
