"""The results of builds for CI systems: what failed before its audit is in every format."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

from smforge.bake.cell_paths import CellPaths
from smforge.bake.diagnosis import StepFailedError
from smforge.bake.record import RunRecord
from smforge.errors import EngineUnavailableError
from smforge.plan.records import Cell
from smforge.report.build import to_json
from smforge.report.model import Report
from smforge.workflow.building.job_reports import render_job, reports_of
from smforge.workflow.building.results import JOB_FORMATS, Built, CellAudit

RECORD = {
    "tool": {"name": "smforge", "version": "0"},
    "result": "passed",
    "exit_code": 0,
    "started": "2026-11-21T13:00:00Z",
    "finished": "2026-11-21T13:10:00Z",
    "seconds": 600.0,
    "inputs_sha256": "0" * 64,
    "plan": {},
    "variables": {},
    "command": ("docker",),
    "tools": {},
    "targets": [
        {
            "name": "wheel",
            "seconds": 61,
            "steps": 1,
            "completed_steps": 1,
            "cached": False,
            "size": 9,
        }
    ],
    "audit": {"verdict": "pass", "exit_code": 0, "findings": 0, "report": "audit.json"},
}


@pytest.fixture
def results(
    cell: Callable[..., Cell], tmp_path: Path, a_report: Callable[[str, str], Report]
) -> list[Built]:
    """A cell that passed, one that is up to date, and two that failed before their audit."""
    one = cell("wheel")
    paths = CellPaths(tmp_path, one.variant, one.platform)
    record = RunRecord.model_validate(RECORD)
    passed = a_report("artefacts", "pass")
    paths.final.mkdir(parents=True)
    (paths.final / "audit.json").write_text(to_json(a_report("before", "pass")))
    step = StepFailedError(
        "Building wheel failed.",
        remedy=None,
        target="wheel",
        log=Path("x.log"),
        excerpt=("x.cu(3): error: `<T>` is undefined",),
    )
    return [
        Built(one, paths, record, audit=CellAudit(passed)),
        Built(one, paths, record, up_to_date=True),
        Built(one, paths, None, error=step),
        Built(one, paths, None, error=EngineUnavailableError("None answers.")),
    ]


def test_every_cell_has_a_report(results: list[Built]) -> None:
    verdicts = [[report.verdict for report in reports_of(built)] for built in results]
    assert verdicts == [["pass"], ["pass"], ["undetermined"], ["undetermined"]]
    names = [report.subject.name for built in results for report in reports_of(built)]
    assert names[:2] == ["artefacts", "before"]


def test_markdown_says_what_failed(results: list[Built]) -> None:
    text = render_job(results, "markdown")
    assert "| demo linux/amd64 | wheel | 1:01 | built |" in text
    assert "- ❌ Building wheel failed." in text
    assert "  - ``x.cu(3): error: `<T>` is undefined``" in text
    assert "- ❌ None answers." in text
    assert text.count("## ❔ demo linux/amd64: undetermined") == 2


def test_a_failed_build_is_no_passed_suite(results: list[Built]) -> None:
    suites = list(ET.fromstring(render_job(results, "junit")))
    broken = [int(one.get("errors", 0)) + int(one.get("failures", 0)) for one in suites]
    assert len(suites) == 4
    assert [number > 0 for number in broken[2:]] == [True, True]
    runs = json.loads(render_job(results, "sarif"))["runs"]
    done = [run["invocations"][0]["executionSuccessful"] for run in runs]
    assert done == [True, True, False, False]


def test_what_was_not_begun_is_no_passed_suite(results: list[Built]) -> None:
    text = render_job(results[:1], "junit", [results[0].cell])
    assert [one.get("errors") for one in ET.fromstring(text)] == ["0", "1"]
    assert "It was not begun." in text


@pytest.mark.parametrize("form", JOB_FORMATS)
def test_one_cell_alone(results: list[Built], form: str) -> None:
    for built in results:
        assert render_job([built], form).strip()
