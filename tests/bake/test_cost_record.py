"""What compilations were expected to cost, beside what they took."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smforge.bake.compilations import CacheCount, Compilations
from smforge.bake.cost_record import CostRecord, ExpectedCost

EXPECTED = ExpectedCost(
    passes=28, cpu_seconds=(1800.0, 3600.0), jobs=2, wall_seconds=(900.0, 1800.0)
)


def step(cpu_seconds: float | None, hits: int = 0) -> Compilations:
    counts = {"sm_120f": CacheCount(hits=hits, misses=28 - hits)}
    return Compilations(targets=counts, not_cached={}, cpu_seconds=cpu_seconds)


@pytest.mark.parametrize(
    ("seconds", "off_by", "words"),
    [
        ((1800.0, 900.0), 0.0, "took 0.75"),
        ((3960.0,), 0.1, "took 1.10, 10% more"),
        ((900.0, 450.0), -0.25, "took 0.38, 25% less"),
    ],
)
def test_what_was_taken_is_held_against_the_nearer_bound(
    seconds: tuple[float, ...], off_by: float, words: str
) -> None:
    found = CostRecord.of(EXPECTED, map(step, seconds))
    assert (found.compared, found.off_by, found.took_cpu_seconds) == (True, off_by, sum(seconds))
    assert found.text == f"28 passes were expected to take 0.50 to 1.00 CPU hours and {words}"


def test_what_came_from_a_cache_is_not_compared() -> None:
    found = CostRecord.of(EXPECTED, (step(600.0), step(100.0, hits=20)))
    assert (found.compared, found.off_by, found.took_cpu_seconds) == (False, None, 700.0)
    assert found.text.endswith("took 0.19, some of them from the compile cache")


@pytest.mark.parametrize("steps", [(), (None,), (step(600.0), None), (step(None), step(1.0))])
def test_what_a_step_did_not_say_is_not_known(steps: tuple[Compilations | None, ...]) -> None:
    found = CostRecord.of(EXPECTED, steps)
    assert (found.took_cpu_seconds, found.compared, found.off_by) == (None, False, None)
    assert found.text.endswith("what they took is not known")


@given(st.floats(0.1, 1e6), st.floats(0.1, 1e6), st.floats(0, 1e6))
def test_it_is_off_only_outside_of_the_bounds(one: float, other: float, took: float) -> None:
    low, high = sorted((one, other))
    expected = EXPECTED.model_copy(update={"cpu_seconds": (low, high)})
    off = CostRecord.of(expected, (step(took),)).off_by
    assert off is not None
    assert (off > 0) <= (took > high)
    assert (off < 0) <= (took < low)
    assert off >= -1
