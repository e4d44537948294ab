"""What Triton's releases ask their assemblers for, and whose assemblers they can use."""

from __future__ import annotations

import pytest

from smforge.arch.target import ComputeCapability
from smforge.arch.triton import triton_release, triton_releases


@pytest.mark.parametrize(
    ("release", "device", "target"),
    [
        ("3.0.0", "9.0", "sm_90a"),
        ("3.2.0", "8.9", "sm_89"),
        ("3.2.0", "12.0", "sm_120"),
        ("3.3.0", "12.0", "sm_120a"),
        ("3.9.0", "8.9", "sm_89"),
        ("3.9.0", "12.1", "sm_121a"),
    ],
)
def test_what_is_asked_for(release: str, device: str, target: str) -> None:
    rules = triton_release(release)
    assert rules is not None
    assert rules.target_for(ComputeCapability.parse(device)).sm == target


@pytest.mark.parametrize(
    ("release", "usable", "refused"),
    [
        ("3.1.0", ("11.8", "12.5"), ("12.6", "12.8", "12.9", "13.0")),
        ("3.2.0", ("12.0", "12.6"), ("12.8", "12.9", "13.0")),
        ("3.3.1", ("12.4", "12.8", "12.9"), ("13.0", "13.5")),
        ("3.4.0", ("12.4", "12.8", "12.9"), ("13.0", "13.5")),
        ("3.5.0", ("12.8", "13.0", "13.5"), ()),
        ("3.9.0", ("12.8", "13.0", "13.5", "14.0"), ()),
    ],
)
def test_whose_assembler_can_be_used(
    release: str, usable: tuple[str, ...], refused: tuple[str, ...]
) -> None:
    rules = triton_release(release)
    assert rules is not None
    assert [cuda for cuda in (*usable, *refused) if rules.refusal(cuda)] == list(refused)


def test_every_release_can_use_what_it_brings() -> None:
    for rules in triton_releases():
        assert rules.bundled is not None
        assert rules.variables.keys() == rules.bundled.keys()
        assert set(rules.assemblers.values()) == rules.bundled.keys()
        assert [rules.refusal(cuda) for cuda in rules.bundled.values()] == [None] * len(
            rules.bundled
        )


def test_where_the_second_assembler_begins() -> None:
    begins = {
        one.release: min(d for d, file in one.assemblers.items() if file == "ptxas-blackwell")
        for one in triton_releases()
        if "ptxas-blackwell" in one.variables
    }
    assert {release: str(device) for release, device in begins.items()} == {
        "3.3.0": "10.0",
        "3.3.1": "10.0",
        "3.6.0": "10.0",
        "3.7.0": "10.0",
        "3.7.1": "10.0",
        "3.8.0": "10.0",
        "3.9.0": "9.0",
    }


def test_a_device_of_no_table_is_like_the_next_lower_one() -> None:
    rules = triton_release("3.9.0")
    assert rules is not None
    assert rules.target_for(ComputeCapability(19, 9)).sm == "sm_199a"
    assert rules.assembler_for(ComputeCapability(1, 0)) == "ptxas"


def test_a_build_of_a_release_has_its_rules() -> None:
    rules = triton_release("3.5.0+git7416ffcb")
    assert rules is not None
    assert rules.name == "Triton 3.5.0+git7416ffcb"
    assert triton_release("99.0.0") is None
