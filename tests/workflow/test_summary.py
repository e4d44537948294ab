"""What a run of builds is summed up as, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from smforge.amounts import size_text
from smforge.bake.cell_paths import CellPaths
from smforge.bake.cost_record import CostRecord
from smforge.bake.diagnosis import StepFailedError
from smforge.bake.record import RunRecord
from smforge.errors import EngineUnavailableError
from smforge.plan.records import Cell
from smforge.workflow.building.results import Built
from smforge.workflow.building.summary import closing_lines, document, render_table

MakeCell = Callable[..., Cell]


def record(result: str, *targets: dict[str, object], verdict: str | None = None) -> RunRecord:
    return RunRecord.model_validate(
        {
            "tool": {"name": "smforge", "version": "0"},
            "result": result,
            "exit_code": {"passed": 0, "rejected": 1, "failed": 5}[result],
            "started": "2026-11-21T13:00:00Z",
            "finished": "2026-11-21T13:10:00Z",
            "seconds": 600.0,
            "inputs_sha256": "0" * 64,
            "plan": {},
            "variables": {},
            "command": ("docker",),
            "tools": {},
            "targets": targets,
            "audit": verdict and {"verdict": verdict, "exit_code": 0, "findings": 0},
        }
    )


def target(
    name: str, done: int, *, cached: bool = False, size: int | None = None
) -> dict[str, object]:
    return {
        "name": name,
        "seconds": 61.5,
        "steps": 3,
        "completed_steps": done,
        "cached": cached,
        "size": size,
    }


@pytest.fixture
def results(cell: MakeCell, tmp_path: Path) -> list[Built]:
    """A cell that passed, one that failed, one that was not begun."""
    one = cell("base", "wheel")
    paths = CellPaths(tmp_path, one.variant, one.platform)
    good = record(
        "passed",
        target("base", 3, cached=True),
        target("wheel", 3, size=15_900_000),
        verdict="pass",
    )
    error = StepFailedError(
        "Building wheel failed.", remedy=None, target="wheel", log=Path("x.log"), excerpt=()
    )
    bad = record("failed", target("base", 2), target("wheel", 1))
    return [
        Built(one, paths, good),
        Built(one, paths, bad, error=error),
        Built(one, paths, None, error=EngineUnavailableError("None answers.")),
    ]


def test_every_target_is_a_row_with_its_own_state(results: list[Built]) -> None:
    lines = render_table(results, width=100, color=False).splitlines()
    assert [line.split() for line in lines] == [
        ["build", "target", "time", "state", "size", "verdict"],
        ["demo", "linux/amd64", "base", "1:01", "cached"],
        ["wheel", "1:01", "built", "15.9", "MB", "pass"],
        ["base", "1:01", "not", "finished"],
        ["wheel", "1:01", "failed"],
        ["not", "built"],
    ]


def test_the_document_is_plain_data_with_exit_codes(results: list[Built]) -> None:
    data = json.loads(json.dumps(document(results)))
    assert [one["result"] for one in data["builds"]] == ["passed", "failed", "failed"]
    assert [one["exit_code"] for one in data["builds"]] == [0, 5, 5]
    assert data["builds"][2]["record"] is None


def test_what_is_up_to_date_says_so_and_since_when(results: list[Built]) -> None:
    good = results[0]
    again = Built(good.cell, good.paths, good.record, up_to_date=True)
    assert list(closing_lines([again])) == [
        "up to date: demo linux/amd64, built 2026-11-21 13:10 UTC, verdict pass: "
        f"0 files in {good.paths.final}"
    ]
    assert "up to date" in render_table([again], width=100, color=False)


def test_only_what_was_built_has_a_place(results: list[Built]) -> None:
    (line,) = closing_lines(results)
    assert line.startswith("built: demo linux/amd64 in 10:00, verdict pass: ")


def test_a_build_says_how_far_off_its_price_was_and_no_other_result_does(
    results: list[Built],
) -> None:
    good, failed, _ = results
    assert good.record is not None
    cost = CostRecord(
        passes=9,
        cpu_seconds=(60.0, 61.0),
        jobs=2,
        wall_seconds=(30.0, 31.0),
        not_compared={"wheel": "9 of 9 from a cache"},
    )
    priced = good.record.model_copy(update={"cost": cost})
    built = Built(good.cell, good.paths, priced)
    assert list(closing_lines([built]))[-1] == (
        "cost of compiling, demo linux/amd64: predicted 0.017 CPU hours from nothing, "
        "not comparable: wheel (9 of 9 from a cache)"
    )
    again = Built(good.cell, good.paths, priced, up_to_date=True)
    broken = Built(failed.cell, failed.paths, priced, error=failed.error)
    assert not [line for line in closing_lines([again, broken]) if line.startswith("cost")]


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (15_900_000, "15.9 MB"), (5_400_000_000, "5.40 GB")],
)
def test_sizes_are_decimal(size: int, text: str) -> None:
    assert size_text(size) == text


def test_what_compiled_is_said_with_the_unit_that_took_most_memory(
    cell: MakeCell, tmp_path: Path
) -> None:
    one = cell("wheel")
    units = [{"unit": "/src/csrc/gemm.cu", "target": "sm_120f", "gib": 9.14}]
    compiled = {"targets": {"sm_120f": {"hits": 1, "misses": 2}}, "hungriest": units}
    built = record("passed", {**target("wheel", 3), "compilations": compiled}, verdict="pass")
    paths = CellPaths(tmp_path, one.variant, one.platform)
    assert list(closing_lines([Built(one, paths, built)]))[-1] == (
        f"from the compile cache, {one.variant} {one.platform} wheel: sm_120f 1 of 3; "
        "most memory: 9.1 GiB, gemm.cu for sm_120f"
    )
