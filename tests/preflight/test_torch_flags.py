"""torch's reading of TORCH_CUDA_ARCH_LIST, as its CMake package has it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smforge.arch.target import Target
from smforge.arch.toolkits import toolkit
from smforge.errors import ArchitectureError
from smforge.preflight.probe.torch_flags import assumed_release, gencode_flags, parse, refusal


def _flags(archs: str) -> list[str]:
    return [str(one) for one in gencode_flags(parse(archs))]


def test_machine_code_comes_before_ptx() -> None:
    assert _flags("9.0a+PTX 12.0f") == [
        "arch=compute_90a,code=sm_90a",
        "arch=compute_120f,code=sm_120f",
        "arch=compute_90a,code=compute_90a",
    ]


@pytest.mark.parametrize("text", ["9.0 12.0", "9.0;12.0", " 9.0\t 12.0 ", "9.0;;12.0 9.0"])
def test_blanks_and_semicolons_separate_and_repeats_go(text: str) -> None:
    assert [str(entry) for entry in parse(text)] == ["9.0", "12.0"]


@pytest.mark.parametrize("text", ["Hopper", "9.0 Blackwell+PTX", "sm_90", "9", "12.1x", ""])
def test_what_torch_does_not_read_alike_everywhere_is_refused(text: str) -> None:
    with pytest.raises(ArchitectureError):
        parse(text)


def test_old_releases_do_not_know_families() -> None:
    assert refusal(parse("9.0a 12.0f"), "2.8.0") is not None
    assert refusal(parse("9.0a 12.0a"), "2.8.0") is None
    assert refusal(parse("12.0f"), "2.9.0") is None
    assert refusal(parse("12.0f"), assumed_release()) is None


@given(st.lists(st.sampled_from(sorted(toolkit("13.0").targets)), min_size=1, unique=True))
def test_each_entry_is_one_flag(targets: list[Target]) -> None:
    found = gencode_flags(parse(" ".join(map(str, targets))))
    assert [one.arch for one in found] == targets
