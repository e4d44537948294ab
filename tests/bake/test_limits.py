"""The rule for compiler jobs."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smforge.bake.host import job_limits as limits
from smforge.bake.host.job_limits import JobLimits, gib_per_job, job_limits, weighed_limits
from smforge.plan.records import Cell

GIB = 1 << 30
CACHE = Path(__file__).parents[2] / "docker" / "compile-cache"


@pytest.mark.parametrize(
    ("cores", "gib", "per_job", "expected"),
    [
        (2, 24, 9.5, JobLimits(2, 1)),  # the machine of FACTS: two CUTLASS jobs in 24 GiB, no more
        (2, 24, 4.0, JobLimits(2, 2)),
        (16, 128, 9.5, JobLimits(13, 1)),
        (96, 1024, 9.5, JobLimits(96, 1)),
        (1, 2, 9.5, JobLimits(1, 1)),
    ],
)
def test_known_machines(cores: int, gib: int, per_job: float, expected: JobLimits) -> None:
    assert job_limits(cores, gib * GIB, per_job) == expected


@given(st.integers(1, 512), st.integers(0, 4096), st.sampled_from([4.0, 6.0, 9.5]))
def test_jobs_fit_into_cores_and_memory(cores: int, gib: int, per_job: float) -> None:
    found = job_limits(cores, gib * GIB, per_job)
    assert 1 <= found.jobs <= cores
    assert found.nvcc_threads in {1, 2}
    if found.jobs * found.nvcc_threads > 1:
        assert found.jobs * found.nvcc_threads * per_job <= gib - 2
    more = job_limits(cores, (gib + 16) * GIB, per_job)
    assert more.jobs >= found.jobs


@pytest.mark.parametrize(
    ("cores", "gib", "per_job", "expected"),
    [
        (2, 24, 9.5, JobLimits(2, 1)),
        (2, 64, 9.5, JobLimits(2, 2)),
        (16, 24, 9.5, JobLimits(16, 1)),  # the step begins no more at once than fit
        (1, 1, 9.5, JobLimits(1, 1)),
    ],
)
def test_a_step_that_sees_its_memory_has_a_job_for_each_core(
    cores: int, gib: int, per_job: float, expected: JobLimits
) -> None:
    assert weighed_limits(cores, gib * GIB, per_job) == expected


def test_the_demo_needs_what_core_needs(cell: Callable[..., Cell]) -> None:
    assert cell().component("flashinfer") is not None
    assert gib_per_job(cell()) == 2.0


@pytest.mark.parametrize(
    ("extensions", "expected"),
    [
        ("_moe_C_stable_libtorch", 6.0),
        ("_moe_C_stable_libtorch _C_stable_libtorch", 9.5),
        (None, 9.5),
    ],
)
def test_the_chosen_extensions_decide(
    cell: Callable[..., Cell], extensions: str | None, expected: float
) -> None:
    assert gib_per_job(compiling(cell(), "vllm", extensions)) == expected


def test_the_hungriest_component_decides(cell: Callable[..., Cell]) -> None:
    assert gib_per_job(compiling(cell(), "lmcache", None)) == 3.0


def test_a_component_that_is_not_compiled_counts_for_nothing(cell: Callable[..., Cell]) -> None:
    made = compiling(cell(), "lmcache", None)
    published = replace(made.components[-1], name="nixl", archs=())
    assert gib_per_job(replace(made, components=(published,))) == 1.0


def test_a_compiling_step_takes_the_same_row(
    cell: Callable[..., Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(CACHE)
    memory = importlib.import_module("memory")
    table = json.loads((Path(limits.__file__).parent / "data/compile_memory.json").read_text())
    made = compiling(cell(), "made", None)
    for component, selection, extensions in product(
        ("vllm", "flashinfer", "lmcache", "of-tomorrow"),
        ("core", "common", "full", ""),
        ("", "_C", "_moe_C_stable_libtorch", "_C _moe_C_stable_libtorch"),
    ):
        given = {"selection": selection, "extensions": extensions}
        one = replace(made.components[-1], name=component, settings=given)
        row = memory.row_of(table, component, given)
        assert row["gib_per_job"] == gib_per_job(replace(made, components=(one,)))


def compiling(cell: Cell, name: str, extensions: str | None) -> Cell:
    """The cell with one more component."""
    settings = {} if extensions is None else {"extensions": extensions}
    component = replace(cell.components[0], name=name, archs=("12.1a",), settings=settings)
    return replace(cell, components=(*cell.components, component))


def test_every_row_says_where_its_figure_is_from() -> None:
    table = json.loads((Path(limits.__file__).parent / "data/compile_memory.json").read_text())
    assert all(row["source"] for row in table["rows"])
    assert "component" not in table["rows"][-1]
