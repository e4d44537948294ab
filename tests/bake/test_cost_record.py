"""What compilations were expected to cost, compared with what they took."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smforge.bake.compilations import CacheCount, Compilations
from smforge.bake.cost_record import CostRecord, ExpectedCost, ExpectedTarget, compare


def expected(**prices: tuple[float, float]) -> ExpectedCost:
    """Bake targets with these CPU seconds, for two jobs."""
    targets = {
        name: ExpectedTarget(cpu_seconds=one, wall_seconds=(one[0] / 2, one[1] / 2), whole=True)
        for name, one in prices.items()
    }
    low, high = (sum(one[bound] for one in prices.values()) for bound in (0, 1))
    return ExpectedCost(
        passes=28,
        cpu_seconds=(low, high),
        jobs=2,
        wall_seconds=(low / 2, high / 2),
        targets=targets,
    )


def step(cpu: float | None, wall: float | None = 900.0, hits: int = 0) -> Compilations:
    counts = {"sm_120f": CacheCount(hits=hits, misses=28 - hits)}
    return Compilations(targets=counts, cpu_seconds=cpu, wall_seconds=wall)


@pytest.mark.parametrize(
    ("cpu", "wall", "off_by", "words"),
    [
        (2700.0, 1000.0, (0, 0), "took 0.75 (within); predicted 15:00 to 30:00 with 2 jobs, took "),
        (3960.0, 3600.0, (0.1, 1), "took 1.10 (10 % above)"),
        (1350.0, 900.0, (-0.25, 0), "took 0.38 (25 % below)"),
    ],
)
def test_what_was_taken_is_held_against_the_nearer_bound(
    cpu: float, wall: float, off_by: tuple[float, float], words: str
) -> None:
    found = compare(expected(vllm=(1800, 3600)), {"vllm": step(cpu, wall)}, ["vllm"], {})
    assert found.compared is not None
    assert (found.compared.cpu_off_by, found.compared.wall_off_by) == off_by
    assert found.text.startswith(f"predicted 0.50 to 1.00 CPU hours, {words}")
    assert found.not_compared == {}


def test_only_what_was_compiled_is_compared_and_the_rest_is_named_with_its_reason() -> None:
    price = expected(a=(100, 200), b=(1000, 2000), c=(1, 1), d=(5, 5))
    steps = {"a": step(200.0), "b": step(50.0, hits=27), "c": None, "d": step(None), "e": step(7.0)}
    found = compare(price, steps, ["a", "b", "c", "d", "e"], {})
    assert found.compared is not None
    assert list(found.compared.targets) == ["a"]
    assert found.compared.expected_cpu_seconds == pytest.approx((100, 200))
    assert found.compared.took_cpu_seconds == pytest.approx(200)
    assert found.compared.cpu_off_by == 0
    assert found.not_compared == {
        "b": "27 of 28 from a cache",
        "c": "no compilation in this build",
        "d": "its time was not measured",
        "e": "not all of it has a price",
    }
    assert found.text.endswith("e (not all of it has a price)")


def test_a_bake_target_with_a_part_that_has_no_price_is_not_compared() -> None:
    price = expected(vllm=(100, 200))
    part = price.targets["vllm"].model_copy(update={"whole": False})
    found = compare(
        price.model_copy(update={"targets": {"vllm": part}}), {"vllm": step(9)}, ["vllm"], {}
    )
    assert found.compared is None
    assert found.text == (
        "predicted 0.028 to 0.056 CPU hours from nothing, not comparable: "
        "vllm (not all of it has a price)"
    )


def test_what_a_cache_helped_is_compared_with_the_price_of_the_rest_where_that_is_known() -> None:
    price = expected(a=(100, 200), b=(100, 200))
    rest = expected(a=(40, 50), b=(1, 1)).targets
    steps = {"a": step(60.0, 45.0, hits=20), "b": step(100.0, 50.0)}
    found = compare(price, steps, ["a", "b"], rest)
    assert found.compared is not None
    # b had no help, so it is compared with its whole price.
    assert found.compared.expected_cpu_seconds == pytest.approx((140, 250))
    assert found.compared.from_cache == {"a": "20 of 28"}
    assert found.text.endswith("took 1:35 (within); without what came from a cache: a 20 of 28")


def test_a_build_that_did_not_end_has_only_what_was_expected() -> None:
    price = expected(vllm=(360, 720))
    record = CostRecord(**price.model_dump())
    assert (record.compared, record.not_compared) == (None, {})
    assert record.text == "predicted 0.10 to 0.20 CPU hours from nothing"


PRICE = st.tuples(st.floats(0.1, 1e6), st.floats(0.1, 1e6)).map(lambda pair: (min(pair), max(pair)))
STEP = st.none() | st.builds(
    step,
    st.none() | st.floats(0, 1e6),
    st.none() | st.floats(0, 1e6),
    st.integers(0, 28),
)


NAMES = st.sampled_from("abcd")


@given(st.dictionaries(NAMES, PRICE), st.dictionaries(NAMES, PRICE), st.dictionaries(NAMES, STEP))
def test_every_target_is_compared_or_has_a_reason(
    prices: dict[str, tuple[float, float]],
    rest: dict[str, tuple[float, float]],
    steps: dict[str, Compilations | None],
) -> None:
    anew = expected(**rest).targets
    found = compare(expected(**prices), steps, list("abcd"), anew)
    compared = () if found.compared is None else found.compared.targets
    assert sorted([*compared, *found.not_compared]) == list("abcd")
    for name in compared:
        one = steps[name]
        assert one is not None
        assert name in (anew if one.saved_time else prices)
    if (total := found.compared) is not None:
        low, high = total.expected_cpu_seconds
        assert (total.cpu_off_by > 0) <= (total.took_cpu_seconds > high)
        assert (total.cpu_off_by < 0) <= (total.took_cpu_seconds < low)
    assert CostRecord.model_validate_json(found.model_dump_json()) == found
