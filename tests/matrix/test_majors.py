"""No distribution of another CUDA major than the one it stands under gets into a matrix."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from smforge.errors import ImpossibleCellError
from smforge.matrix.load import parse
from smforge.matrix.majors import majors_of

Lines = Callable[[Any], list[str]]


@pytest.mark.parametrize(
    ("distribution", "majors"),
    [
        ("nixl-cu12", ("12",)),
        ("nixl-cu13", ("13",)),
        ("cupy-cuda12x", ("12",)),
        ("nvidia-nccl-cu13", ("13",)),
        ("mooncake-transfer-engine-cuda13", ("13",)),
        ("mooncake-transfer-engine", ("12",)),
        ("nixl", ("12", "13")),
        ("lmcache", ()),
        ("vllm", ()),
        ("cu12-tools", ()),
    ],
)
def test_what_a_name_says(distribution: str, majors: tuple[str, ...]) -> None:
    assert majors_of(distribution) == majors


@pytest.mark.parametrize(
    ("component", "distribution", "others"),
    [
        ("nixl", "nixl-cu12", "12"),
        ("nixl", "nixl", "12"),
        ("mooncake", "mooncake-transfer-engine", "12"),
    ],
)
def test_another_cuda_major_is_refused_before_anything_is_built(
    small: dict[str, Any], lines: Lines, component: str, distribution: str, others: str
) -> None:
    source = small["sources"][component]["13"]
    stem = distribution.replace("-", "_")
    source["distribution"] = distribution
    source["files"] = {f"{stem}-{source['version']}-py3-none-any.whl": "0" * 64}
    with pytest.raises(ImpossibleCellError):
        parse(json.dumps(small).encode())
    assert lines(small) == [
        f'$.sources.{component}["13"].distribution: {distribution} brings CUDA {others}, and would '
        "go into variants for CUDA 13. Name the distribution that is built for CUDA 13 alone."
    ]


def test_a_dispatcher_s_files_are_of_its_own_name_and_of_the_build_s_version(
    small: dict[str, Any], lines: Lines
) -> None:
    files = small["sources"]["nixl"]["13"]["dispatcher"]["files"]
    files["nixl-1.5.0-py3-none-any.whl"] = files.pop("nixl-1.5.1-py3-none-any.whl")
    (line,) = lines(small)
    assert "this is no file of nixl 1.5.1." in line
