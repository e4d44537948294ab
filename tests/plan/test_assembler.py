"""Which assembler Triton runs in an image, held against what its wheels bring."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from smforge.arch.target import ComputeCapability
from smforge.arch.toolkits import toolkit
from smforge.arch.triton import triton_release
from smforge.errors import ConfigurationError, ImpossibleCellError
from smforge.matrix.load import Matrix
from smforge.plan.assembler import BUNDLED, TOOLKIT, assembler_choices

ROOT = Path(__file__).parents[2]
DATA = json.loads((ROOT / "builder/smforge/plan/data/torch_triton.json").read_text())


def choices(torch: str, cuda: str, *capabilities: str) -> tuple[str, str]:
    """What an image for these devices gets for ``ptxas`` and for ``ptxas-blackwell``."""
    found = assembler_choices(torch, cuda, map(ComputeCapability.parse, capabilities))
    assert list(found) == ["TRITON_PTXAS", "TRITON_PTXAS_BLACKWELL"]
    return found["TRITON_PTXAS"], found["TRITON_PTXAS_BLACKWELL"]


@pytest.mark.parametrize(
    ("torch", "devices", "expected"),
    [
        ("2.14.0", ("7.5", "8.0", "9.0", "10.3", "11.0", "12.1"), (BUNDLED, BUNDLED)),
        # Triton 3.5.0 has one assembler, of CUDA 12.8: it knows 12.0a and not 12.1a.
        ("2.9.0", ("12.0",), (BUNDLED, BUNDLED)),
        ("2.9.0", ("12.1",), (TOOLKIT, BUNDLED)),
        ("2.9.0", ("9.0", "10.3"), (TOOLKIT, BUNDLED)),
        # Triton 3.6.0 sends Blackwell to an assembler of CUDA 12.9, which calls Thor 10.1.
        ("2.10.0", ("9.0", "12.1"), (BUNDLED, BUNDLED)),
        ("2.10.0", ("11.0",), (BUNDLED, TOOLKIT)),
        ("2.14.0", (), (BUNDLED, BUNDLED)),
    ],
)
def test_the_toolkits_assembler_is_taken_only_where_needed(
    torch: str, devices: tuple[str, ...], expected: tuple[str, str]
) -> None:
    assert choices(torch, "13.0", *devices) == expected


def test_a_toolkit_that_does_not_know_the_device_either_is_an_error() -> None:
    with pytest.raises(ImpossibleCellError, match=r"sm_110a on 11\.0.*ptxas of CUDA 12\.8"):
        choices("2.9.0", "12.9", "11.0")


def test_a_torch_that_is_not_in_the_table_is_an_error() -> None:
    with pytest.raises(
        ConfigurationError, match=r"Triton that torch 1\.0\.0 requires is not known"
    ):
        choices("1.0.0", "13.0", "9.0")


def test_every_torch_of_the_matrix_is_known(matrix: Matrix) -> None:
    assert {one.torch for one in matrix.document.toolkits.values()} <= set(DATA["torch"])
    assert set(matrix.document.torch_builds) <= set(DATA["torch"])


def test_a_toolkit_that_this_triton_refuses_is_an_error() -> None:
    """Triton 3.4.0 knows no CUDA 13; with CUDA 12.9 it can have code for 12.1 assembled."""
    assert choices("2.8.0", "12.9", "12.1") == (TOOLKIT, BUNDLED)
    with pytest.raises(ImpossibleCellError, match=r"3\.4\.0 refuses assemblers of CUDA 13\.0"):
        choices("2.8.0", "13.0", "12.1")
    assert choices("2.8.0", "13.0", "12.0") == (BUNDLED, BUNDLED)


def test_every_triton_that_a_torch_requires_is_known_with_its_assemblers() -> None:
    for release in DATA["torch"].values():
        rules = triton_release(release)
        assert rules is not None, release
        assert rules.bundled is not None
        for cuda in rules.bundled.values():
            assert toolkit(cuda)
            assert rules.refusal(cuda) is None
