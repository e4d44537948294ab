"""The outputs of the action, from reports as an audit saves them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from smforge.report.build import to_json
from smforge.report.model import Report
from smforge.report.step_outputs import step_outputs

MakeReport = Callable[..., Report]


def test_what_is_missing_is_named_once(make_report: MakeReport) -> None:
    report = make_report("9.0 12.1")
    lines = list(step_outputs([report, report]))
    assert lines == ["verdict=fail", "missing=9.0 12.1"]


def test_no_report_is_no_pass() -> None:
    assert list(step_outputs([])) == ["verdict=undetermined", "missing=unknown"]


@pytest.mark.parametrize("verdict", ["undetermined", "nothing"])
def test_what_is_not_known_is_not_called_empty(make_report: MakeReport, verdict: Any) -> None:
    passing = replace(make_report("12.0"), findings=(), verdict="pass")
    other = replace(passing, verdict=verdict)
    assert list(step_outputs([passing])) == ["verdict=pass", "missing="]
    assert list(step_outputs([passing, other])) == [f"verdict={verdict}", "missing=unknown"]


def test_nothing_required_is_no_pass(make_report: MakeReport) -> None:
    asked = replace(make_report("12.0"), findings=(), verdict="pass")
    report = replace(
        asked, nothing_required=True, question=replace(asked.question, requirements=())
    )
    lines = ["verdict=nothing-required", "missing=unknown"]
    assert list(step_outputs([asked, report])) == lines


def test_as_a_program(make_report: MakeReport, tmp_path: Path) -> None:
    file = tmp_path / "audit.json"
    text = to_json(make_report("9.0"))
    command = (sys.executable, "-m", "smforge.report.step_outputs", file)
    for content in (text, f"[{text},{text}]"):
        file.write_text(content)
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout == "verdict=fail\nmissing=9.0\n"
    for content in ('{"verdict": "pass"}', "[1]", "[]", ""):
        file.write_text(content)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (1, "")
