"""Which lists a device is compared with."""

from __future__ import annotations

import pytest

from smforge.arch.target import ComputeCapability, Suffix, Target
from smforge.arch.toolkits import Toolkit, toolkit
from smforge.preflight.compare.baselines import (
    Kind,
    Spell,
    baselines_of,
    family_members,
    named_baselines,
)
from smforge.preflight.probe.torch_flags import parse


def _torchs(release: Toolkit) -> Spell:
    def spell(device: ComputeCapability) -> tuple[Target, ...]:
        both = (Target(device), Target(device, Suffix.ARCH_SPECIFIC))
        return tuple(one for one in both if release.knows(one))

    return spell


def _lists(device: str, asked: str = "", cuda: str = "13.0") -> list[str]:
    release = toolkit(cuda)
    targets = [Target.parse(one) for one in asked.split()]
    found = baselines_of(ComputeCapability.parse(device), targets, release, _torchs(release))
    assert all([one.target] == [entry.target for entry in one.archs] for one in found)
    return [f"{one.target} {one.kind}" for one in found]


@pytest.mark.parametrize(
    ("device", "asked", "expected"),
    [
        ("12.1", "12.1a", ["12.1a alone", "12.0f family", "12.0 family"]),
        ("12.0", "12.0f", ["12.0f alone", "12.0 family"]),
        ("12.0", "12.0", ["12.0 alone", "12.0f family"]),
        ("12.0", "12.0 12.0a", ["12.0 alone", "12.0a alone", "12.0f family"]),
        ("10.3", "10.3a", ["10.3a alone", "10.0f family", "10.0 family"]),
        ("11.0", "11.0", ["11.0 alone", "11.0f family"]),
        ("9.0", "9.0", ["9.0 alone", "9.0a family"]),
        ("8.7", "8.7", ["8.7 alone", "8.0 earlier", "8.6 earlier"]),
        ("8.9", "8.9", ["8.9 alone", "8.0 earlier", "8.6 earlier"]),
        ("8.0", "8.0", ["8.0 alone"]),
        ("7.5", "7.5", ["7.5 alone"]),
        # Required, and not in the list.
        ("10.3", "", ["10.3 alone", "10.3a alone", "10.0f family", "10.0 family"]),
        ("8.6", "", ["8.6 alone", "8.0 earlier"]),
    ],
)
def test_each_device_is_compared_with_itself_and_its_relatives(
    device: str, asked: str, expected: list[str]
) -> None:
    assert _lists(device, asked) == expected


def test_a_toolkit_without_families_has_the_architecture_specific_form() -> None:
    assert _lists("12.1", "12.1a", cuda="12.8") == ["12.0a family", "12.0 family"]


def test_a_named_list_is_matched_by_major_and_not_by_later_targets() -> None:
    named = [parse("9.0a 12.0f")]

    def found(device: str) -> list[tuple[str, Kind]]:
        baselines = named_baselines(ComputeCapability.parse(device), named)
        return [(str(one.target), one.kind) for one in baselines]

    assert found("9.0") == [("9.0a", Kind.NAMED)]
    assert found("12.1") == [("12.0f", Kind.NAMED)]
    assert found("8.9") == []
    assert named_baselines(ComputeCapability(12, 0), [parse("12.1a")]) == ()


def test_the_other_members_of_a_family_are_asked_for_by_themselves() -> None:
    release = toolkit("13.0")
    members = family_members(Target.parse("10.0f"), release)
    assert [str(one.target) for one in members] == ["10.3a"]
    assert family_members(Target.parse("12.1a"), release) == ()
