"""What a build expects to cost is what `plan --cost` says, from preflight's result alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from smforge.bake.compilations import CacheCount, Compilations
from smforge.bake.inputs.externals import default_store, externals_of, kept_sources
from smforge.matrix.load import load
from smforge.plan.records import Cell
from smforge.plan.resolve import resolve
from smforge.preflight.cache import Cache, default_directory
from smforge.preflight.cell import (
    CellPreflight,
    Circumstances,
    ComponentPreflight,
    examinable,
    preflight_cell,
)
from smforge.workflow.cost.expecting import compiled_anew, compiling_targets, expected_cost
from smforge.workflow.cost.figures import step_seconds
from smforge.workflow.cost.price import price_of_cell
from smforge.workflow.cost.units import contents_found, contents_of

ROOT = Path(__file__).parents[3]
CELLS = resolve(load(ROOT / "versions.json"), ("demo", "demo-source", "cu130-spark", "cu130")).cells
NAMES = [cell.name for cell in CELLS]


@pytest.mark.parametrize("cell", CELLS, ids=NAMES)
def test_what_compiles_is_what_bake_builds(cell: Cell) -> None:
    compiling = compiling_targets(cell)
    for component in cell.components:
        here = [one for one in compiling if one.split("-")[0] == component.name]
        assert bool(here) == bool(component.archs)
    assert not {"base", "flashinfer-shim", "connectors"} & set(compiling)


@pytest.mark.network
@pytest.mark.parametrize("cell", CELLS[:3], ids=NAMES[:3])
def test_it_is_the_price_of_the_plan(cell: Cell) -> None:
    store = default_store()
    circumstances = Circumstances(ROOT, Cache(default_directory()))
    fetched = kept_sources(externals_of(cell), store)
    found = preflight_cell(cell, examinable(cell), replace(circumstances, fetched=fetched))
    contents, failed = contents_of((cell,), circumstances, store)
    assert failed == {}
    assert dict(contents_found(found).values()) == contents
    expected = expected_cost(cell, found, 2)
    planned = price_of_cell(cell, contents, 2)
    assert expected is not None
    assert expected.cpu_seconds == pytest.approx(
        (planned.seconds.low, planned.seconds.high), abs=0.1
    )
    assert expected.wall_seconds == pytest.approx((planned.wall.low, planned.wall.high), abs=0.1)
    assert (expected.passes, expected.not_in_it) == (planned.priced.passes, planned.not_known)
    assert set(expected.targets) == set(compiling_targets(cell))
    for bound in (0, 1):
        parts = (one.cpu_seconds[bound] for one in expected.targets.values())
        assert sum(parts) == pytest.approx(expected.cpu_seconds[bound], abs=0.5)
    assert all(one.whole for one in expected.targets.values())


@pytest.mark.network
def test_a_target_with_units_that_have_no_price_is_not_whole() -> None:
    (cell,) = resolve(load(ROOT / "versions.json"), ("demo-source",)).cells
    circumstances = Circumstances(ROOT, Cache(default_directory()))
    found = preflight_cell(cell, examinable(cell), circumstances)

    def odd(one: ComponentPreflight) -> ComponentPreflight:
        first, *others = one.result.builds[0].units
        units = (replace(first, extension="_new_C"), *others)
        builds = (replace(one.result.builds[0], units=units),)
        return replace(one, result=replace(one.result, builds=builds))

    changed = CellPreflight(cell, tuple(map(odd, found.components)))
    expected = expected_cost(cell, changed, 2)
    assert expected is not None
    assert {name: one.whole for name, one in expected.targets.items()} == {
        "vllm": False,
        "lmcache": True,
    }


def counted(**misses: int) -> Compilations:
    """What nine passes of each target were, of which this many were compiled."""
    return Compilations(
        targets={name: CacheCount(hits=9 - one, misses=one) for name, one in misses.items()}
    )


@pytest.mark.network
def test_the_price_of_what_a_cache_did_not_have_lies_between_the_step_and_the_whole() -> None:
    (cell,) = resolve(load(ROOT / "versions.json"), ("demo",)).cells
    circumstances = Circumstances(ROOT, Cache(default_directory()))
    found = preflight_cell(cell, examinable(cell), circumstances)
    expected = expected_cost(cell, found, 2)
    assert expected is not None
    whole = expected.targets["flashinfer-sm120f"].cpu_seconds
    step = step_seconds("flashinfer")

    def price(compiled: Compilations) -> tuple[float, float] | None:
        anew = compiled_anew(found, {"flashinfer-sm120f": compiled}, 2)
        assert not anew.keys() - {"flashinfer-sm120f"}
        return anew["flashinfer-sm120f"].cpu_seconds if anew else None

    assert price(counted(sm_120f=0, compute_120f=0)) == (step.low, step.high)
    assert price(counted(sm_120f=9, compute_120f=9)) == pytest.approx(whole, abs=0.1)
    before = (step.low, step.high)
    for number in range(10):
        now = price(counted(sm_120f=number, compute_120f=number))
        assert now is not None
        assert step.low <= now[0] <= now[1] <= whole[1] + 0.1
        assert before[0] <= now[0]
        assert before[1] <= now[1]
        before = now
    # Some PTX was compiled whose machine code the cache had.
    mixed = price(counted(sm_120f=3, compute_120f=6))
    fewer, more = (price(counted(sm_120f=one, compute_120f=one)) for one in (3, 6))
    assert mixed is not None
    assert fewer is not None
    assert more is not None
    assert mixed == (fewer[0], more[1])


@pytest.mark.network
@pytest.mark.parametrize(
    "compiled",
    [
        counted(sm_121a=9),
        Compilations(targets={"sm_120f": CacheCount(hits=1, misses=1)}),
        Compilations(targets=counted(sm_120f=9).targets, not_cached={"a reason": 1}),
        Compilations(targets=counted(sm_120f=9).targets, errors=1),
    ],
    ids=["another target", "other passes", "not cacheable", "errors"],
)
def test_counts_that_are_not_of_the_passes_have_no_price(compiled: Compilations) -> None:
    (cell,) = resolve(load(ROOT / "versions.json"), ("demo",)).cells
    circumstances = Circumstances(ROOT, Cache(default_directory()))
    found = preflight_cell(cell, examinable(cell), circumstances)
    assert compiled_anew(found, {"flashinfer-sm120f": compiled}, 2) == {}


@pytest.mark.network
def test_a_step_whose_own_cost_is_not_known_has_no_price_without_the_cached_part() -> None:
    (cell,) = resolve(load(ROOT / "versions.json"), ("demo-source",)).cells
    circumstances = Circumstances(ROOT, Cache(default_directory()))
    found = preflight_cell(cell, examinable(cell), circumstances)
    counts = {"sm_80": 1, "sm_120": 8, "sm_120f": 19}
    targets = {name: CacheCount(hits=number, misses=0) for name, number in counts.items()}
    assert compiled_anew(found, {"vllm": Compilations(targets=targets)}, 2) == {}
