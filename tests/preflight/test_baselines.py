"""Which lists a list is compared with."""

from __future__ import annotations

import pytest

from smforge.arch.target import Target
from smforge.arch.toolkits import toolkit
from smforge.preflight.compare.baselines import default_baselines, named_baseline
from smforge.preflight.probe.torch_flags import parse


def _lists(archs: str, cuda: str = "13.0") -> list[str]:
    found = default_baselines(parse(archs), toolkit(cuda))
    return [" ".join(map(str, one.archs)) for one in found]


@pytest.mark.parametrize(
    ("archs", "expected"),
    [
        ("12.1a", ["12.0f", "12.0"]),
        ("12.0f", ["12.0"]),
        ("12.0", ["12.0f"]),
        ("10.3a", ["10.0f", "10.0"]),
        ("11.0", ["11.0f"]),
        ("9.0", ["9.0a"]),
        ("9.0 12.1a", ["9.0a 12.0f", "9.0 12.0"]),
        ("12.0 12.1a", ["12.0f", "12.0"]),
        ("8.0", []),
    ],
)
def test_siblings_in_both_spellings(archs: str, expected: list[str]) -> None:
    assert _lists(archs) == expected


def test_a_toolkit_without_families_has_the_architecture_specific_form() -> None:
    assert _lists("12.1a", "12.8") == ["12.0a", "12.0"]


def test_each_requested_target_knows_who_stands_for_it() -> None:
    first, _ = default_baselines(parse("9.0 12.1a"), toolkit("13.0"))
    assert first.stands_for == (
        (Target.parse("9.0"), Target.parse("9.0a")),
        (Target.parse("12.1a"), Target.parse("12.0f")),
    )


def test_a_named_list_is_matched_by_major() -> None:
    baseline = named_baseline(parse("8.9 9.0 12.1a"), parse("9.0a 12.0f"))
    assert baseline.stands_for == (
        (Target.parse("9.0"), Target.parse("9.0a")),
        (Target.parse("12.1a"), Target.parse("12.0f")),
    )
