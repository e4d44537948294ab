"""What drivers assemble."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smforge.arch.drivers import DriverVersion, driver_assembles, lowest_driver_for
from smforge.errors import UsageError

versions = st.builds(
    DriverVersion,
    st.one_of(
        st.tuples(st.integers(300, 999), st.integers(0, 300)),
        st.tuples(st.integers(300, 999), st.integers(0, 300), st.integers(0, 99)),
    ),
)
isas = st.tuples(st.integers(6, 10), st.integers(0, 9))


@given(versions)
def test_versions_round_trip(version: DriverVersion) -> None:
    assert DriverVersion.parse(str(version)) == version


@pytest.mark.parametrize("text", ["570.195.03", "570.26", "525.60.13", "580.00", "595.45.04"])
def test_versions_print_as_they_are_written(text: str) -> None:
    assert str(DriverVersion.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "570", "R570", "570.", "12.8", "570.1.2.3", "570.x", "570.195.03\n"]
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        DriverVersion.parse(text)


def test_numbers_compare_as_numbers() -> None:
    assert DriverVersion.parse("570.195.03") > DriverVersion.parse("570.26")


@pytest.mark.parametrize(
    ("ptx_isa", "driver", "expected"),
    [
        ("8.7", "570.195.03", True),
        ("8.8", "570.195.03", False),
        ("8.0", "570.195.03", True),
        ("9.0", "580.65.06", True),
        ("9.0", "575.57.08", False),
        ("9.1", "580.105.08", False),
        # 8.6 has no driver of its own: known only through its neighbours.
        ("8.6", "570.26", True),
        ("8.6", "550.54.14", False),
        ("8.6", "560.35.03", None),
        # Of 9.4 only the branch is known, of 9.5 nothing.
        ("9.4", "610.43.02", False),
        ("9.4", "615.10.01", None),
        ("9.5", "615.10.01", None),
        # Older than the table.
        ("7.8", "525.60.13", True),
        ("7.8", "520.61.05", None),
    ],
)
def test_what_drivers_assemble(ptx_isa: str, driver: str, expected: bool | None) -> None:
    assert driver_assembles(ptx_isa, driver) is expected
    assert driver_assembles(ptx_isa, DriverVersion.parse(driver)) is expected


@given(isas, isas, versions, versions)
def test_a_newer_driver_and_an_older_isa_never_hurt(
    one: tuple[int, int], other: tuple[int, int], first: DriverVersion, second: DriverVersion
) -> None:
    """Ordered as no < unknown < yes."""
    rank = {False: 0, None: 1, True: 2}
    low, high = sorted([one, other])
    old, new = sorted([first, second])
    worst = driver_assembles(f"{high[0]}.{high[1]}", old)
    best = driver_assembles(f"{low[0]}.{low[1]}", new)
    assert rank[worst] <= rank[best]


def test_the_lowest_driver() -> None:
    assert lowest_driver_for("9.0") == DriverVersion.parse("580.65.06")
    assert lowest_driver_for("8.6") is None
    assert lowest_driver_for("9.4") is None
    assert lowest_driver_for("99.0") is None


@given(isas)
def test_the_lowest_driver_assembles_and_none_below_does(isa: tuple[int, int]) -> None:
    text = f"{isa[0]}.{isa[1]}"
    lowest = lowest_driver_for(text)
    if lowest is not None:
        branch, *rest = lowest.parts
        assert driver_assembles(text, lowest) is True
        assert driver_assembles(text, DriverVersion((branch - 1, *rest))) is False


@pytest.mark.parametrize("text", ["9", "nine", "9.0.1", ""])
def test_an_isa_version_is_two_numbers(text: str) -> None:
    with pytest.raises(UsageError):
        driver_assembles(text, "580.65.06")
