"""The words of --require."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smforge.arch.requirement import Form, RequiredTarget, Requirements, parse_requirements
from smforge.arch.target import ComputeCapability, Suffix, Target
from smforge.errors import ArchitectureError

capabilities = st.builds(ComputeCapability, st.integers(1, 99), st.integers(0, 9))
suffixes = st.sampled_from([Suffix.PLAIN, Suffix.ARCH_SPECIFIC, Suffix.FAMILY_SPECIFIC])
required = st.builds(
    RequiredTarget, st.builds(Target, capabilities, suffixes), st.sampled_from(Form)
).filter(lambda one: one.form is not Form.ANY or one.target.suffix is not Suffix.PLAIN)
requirements = st.builds(
    Requirements,
    st.lists(capabilities, unique=True).map(tuple),
    st.lists(required, unique=True).map(tuple),
)


@given(requirements)
def test_requirements_round_trip(one: Requirements) -> None:
    assert parse_requirements([str(one)]) == one
    assert bool(one) is bool(one.devices or one.targets)


def test_devices_and_targets_are_told_apart() -> None:
    assert parse_requirements(["11.0 12.1a", "sm_120,compute_90; 12.0f"]) == Requirements(
        devices=(ComputeCapability(11, 0),),
        targets=(
            RequiredTarget(Target.parse("12.1a"), Form.ANY),
            RequiredTarget(Target.parse("12.0"), Form.CUBIN),
            RequiredTarget(Target.parse("9.0"), Form.PTX),
            RequiredTarget(Target.parse("12.0f"), Form.ANY),
        ),
    )


def test_a_word_said_twice_counts_once() -> None:
    assert parse_requirements(["12.1 12.1", "12.1"]).devices == (ComputeCapability(12, 1),)


def test_no_words_are_no_requirements() -> None:
    assert not parse_requirements([])
    assert not parse_requirements(["", " , ;"])


@pytest.mark.parametrize(
    "word", ["12", "121", "sm_12.1", "12.1b", "gfx90a", "lto_90", "+PTX", "12.0F"]
)
def test_other_words_are_refused_with_a_remedy(word: str) -> None:
    with pytest.raises(ArchitectureError) as caught:
        parse_requirements([word])
    assert word in caught.value.message
    assert "12.0f" in (caught.value.remedy or "")
