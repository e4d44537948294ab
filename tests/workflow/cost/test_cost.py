"""The price of a plan: what has a figure, what cells share, and what is said not to be known."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.cost_growth import make_matrix
from smforge.bake.compilations import Compilations
from smforge.bake.cost_record import ExpectedCost, ExpectedTarget, compare
from smforge.matrix.load import load
from smforge.plan.records import Cell
from smforge.plan.resolve import resolve
from smforge.workflow.cost import figures
from smforge.workflow.cost.figures import step_seconds, unit_figure
from smforge.workflow.cost.means import Means
from smforge.workflow.cost.price import Last, PlanCost, price
from smforge.workflow.cost.rendering import cost_document, cost_text
from smforge.workflow.cost.units import Build, Content, Family, Pass, builds_of_cell

ROOT = Path(__file__).parents[3]
MEANS = Means(4, 32 << 30)
DEMO, SOURCE = resolve(load(ROOT / "versions.json"), ("demo", "demo-source")).cells


def content(*units: tuple[str, str, str], lacking: tuple[str, ...] = ()) -> Content:
    passes = frozenset(Pass(*unit) for unit in units)
    return Content(len({(one.extension, one.source) for one in passes}), passes, lacking)


def costs(
    *cells: Cell, contents: dict[Build, Content], last: dict[str, Last] | None = None
) -> PlanCost:
    return price(cells, contents, {}, MEANS, last or {})


def core(target: str) -> Content:
    return content(("page", "page.cu", target), ("page", "binding.cu", target))


def test_every_figure_has_its_bounds_and_its_source() -> None:
    table = json.loads((Path(figures.__file__).parent / "data" / "costs.json").read_text())
    rows = [*table["units"], *table["steps"], *table["components"]]
    assert rows
    for row in rows:
        low, high = row["cpu_seconds"]
        assert 0 < low <= high
    for row in (*rows, *table["bytes"], table["once"]):
        assert row["basis"] in {"measured", "estimated"}
        assert row["source"].endswith(".")
    assert {row["per"] for row in table["units"]} <= {"pass", "extension"}
    assert {row["per"] for row in table["bytes"]} <= {"target", "cell"}


def test_a_cell_costs_its_passes_and_a_shared_pass_is_paid_once() -> None:
    both = (DEMO, replace(DEMO, variant="again"))
    contents = {build: core(build.archs) for build in builds_of_cell(DEMO)}
    found = costs(*both, contents=contents)
    figure, step = unit_figure("flashinfer", "page"), step_seconds("flashinfer")
    assert figure is not None
    assert step.high > 0
    for cell in found.cells:
        assert (cell.units, cell.priced.passes, cell.priced.not_measured) == (6, 6, 0)
        # The figure is for the whole module and one target, and there are three targets, each of
        # which is compiled by a step of its own.
        assert cell.seconds.high == pytest.approx(3 * (figure.seconds.high + step.high))
        assert cell.wall.high == pytest.approx(cell.seconds.high / cell.jobs)
    (shared,) = found.shared
    assert shared.cells == 2
    assert shared.by_target == {"11.0a": (4, 2), "12.0f": (4, 2), "12.1a": (4, 2)}
    assert (shared.all.passes, shared.once.passes) == (12, 6)
    # The second cell's steps run too, although each of their passes is in the cache.
    assert shared.all.seconds.high == pytest.approx(6 * (figure.seconds.high + step.high))
    assert shared.once.seconds.high == pytest.approx(3 * figure.seconds.high + 6 * step.high)
    text = cost_text(found)
    assert "2 cells, from nothing: 12 passes" in text
    assert "Of these passes 6 are different" in text


def test_lists_that_overlap_share_the_passes_that_both_have() -> None:
    (build,) = (one for one in builds_of_cell(SOURCE) if one.family.component == "vllm")
    other = Build(build.family, "12.1a 11.0")
    component = SOURCE.component("vllm")
    assert component is not None
    vllm = replace(component, archs=("12.1a", "11.0"))
    wider = replace(SOURCE, variant="wider", components=(vllm,))
    assert builds_of_cell(wider) == (other,)
    contents = {
        build: content(("_moe_C_stable_libtorch", "a.cu", "12.0f")),
        other: content(
            ("_moe_C_stable_libtorch", "a.cu", "12.0f"), ("_moe_C_stable_libtorch", "a.cu", "11.0f")
        ),
    }
    found = costs(SOURCE, wider, contents=contents)
    (shared,) = (one for one in found.shared if one.family.component == "vllm")
    assert shared.by_target == {"11.0f": (1, 1), "12.0f": (2, 1)}


def test_what_has_no_figure_is_never_a_number() -> None:
    (build,) = (one for one in builds_of_cell(SOURCE) if one.family.component == "vllm")
    vllm = SOURCE.component("vllm")
    assert vllm is not None
    alone = replace(SOURCE, components=(vllm,))
    odd = content(("_new_C", "a.cu", "12.0f"), ("_new_C", "b.cu", "12.0f"), lacking=("qutlass",))
    found = costs(alone, contents={build: odd})
    (cell,) = found.cells
    assert (cell.priced.not_measured, cell.seconds.high, cell.is_measured) == (2, 0, False)
    assert cell.not_known == ("qutlass",)
    text = cost_text(found)
    assert text.count("not measured") >= 3
    assert "Not in it: 2 passes that are not measured." in text
    assert "Not in it: qutlass, whose cost is not known." in text


def test_a_component_whose_sources_were_not_examined_is_named() -> None:
    family = builds_of_cell(DEMO)[0].family
    assert isinstance(family, Family)
    found = price((DEMO,), {}, {family: "The index does not answer."}, MEANS, {})
    (cell,) = found.cells
    assert cell.not_known == ("flashinfer",)
    assert "was not examined: The index does not answer." in cost_text(found)
    assert cost_document(found)["not_examined"][0]["component"] == "flashinfer"


def test_more_cores_than_memory_feeds_are_not_counted() -> None:
    contents = {build: core(build.archs) for build in builds_of_cell(DEMO)}
    jobs = {
        gib: price((DEMO,), contents, {}, Means(64, gib << 30), {}).cells[0].jobs
        for gib in (8, 512)
    }
    assert jobs == {8: 3, 512: 64}


def test_the_last_build_is_shown_and_no_time_where_a_cache_helped() -> None:
    contents = {build: core(build.archs) for build in builds_of_cell(DEMO)}
    last = {DEMO.name: Last(754.0, 1_350_000)}
    assert "12:34" in cost_text(costs(DEMO, contents=contents, last=last))
    last = {DEMO.name: Last(None, 1_350_000)}
    text = cost_text(costs(DEMO, contents=contents, last=last))
    assert "from a cache" in text
    assert "12:34" not in text


def test_how_far_off_the_price_of_the_last_build_was_is_said() -> None:
    contents = {build: core(build.archs) for build in builds_of_cell(DEMO)}
    price = ExpectedTarget(cpu_seconds=(360, 720), wall_seconds=(180, 360), whole=True)
    expected = ExpectedCost(
        passes=6, cpu_seconds=(360, 720), jobs=2, wall_seconds=(180, 360), targets={"a": price}
    )
    step = Compilations(targets={}, cpu_seconds=1080, wall_seconds=90)
    record = compare(expected, {"a": step}, ["a"], {})
    found = costs(DEMO, contents=contents, last={DEMO.name: Last(754.0, 1_350_000, record)})
    assert (
        "Last build of demo linux/amd64: predicted 0.10 to 0.20 CPU hours, took 0.30 (50 % above); "
        "predicted 3:00 to 6:00 with 2 jobs, took 1:30 (50 % below)."
    ) in cost_text(found)
    (cell,) = cost_document(found)["cells"]
    assert cell["last"]["cost"]["compared"]["cpu_off_by"] == pytest.approx(0.5)


@pytest.mark.network
@pytest.mark.slow
def test_a_matrix_of_many_cells_is_priced_from_the_real_sources(tmp_path: Path) -> None:
    make_matrix(tmp_path / "versions.json", 40)
    (tmp_path / "docker").symlink_to(ROOT / "docker")
    (tmp_path / "docker-bake.hcl").symlink_to(ROOT / "docker-bake.hcl")
    done = subprocess.run(
        (sys.executable, "-m", "smforge", "-q", "plan", "--cost", "-o", "json", "--cores", "8"),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "builder")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert len(document["cells"]) == 40
    assert document["means"]["cores"] == 8
    (component,) = document["components"]
    lists = {word for cell in document["cells"] for word in cell["not_known"]}
    assert lists == {"flashinfer for 7.5 (its sources refuse it)"}
    assert set(component["targets"]) == {
        "8.0", "8.6", "8.7", "8.9", "9.0a", "10.0f", "10.3a", "11.0a", "12.0f", "12.1a",
    }  # fmt: skip
    # Each of these targets is compiled once, whatever the number of cells.
    assert all(one["different"] < one["passes"] for one in component["targets"].values())
    assert all(one["passes_not_measured"] == 0 for one in document["cells"])
