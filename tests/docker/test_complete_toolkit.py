"""What the torch base reads of torch and takes from its wheels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def complete(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("torch/complete_toolkit")


@pytest.mark.parametrize(
    ("line", "tag"),
    [
        ("cuda: Optional[str] = '13.0'", "cu130"),
        ("cuda: Optional[str] = '12.9'", "cu129"),
        ("cuda: Optional[str] = None", "no CUDA"),
    ],
)
def test_torch_says_which_cuda_it_was_built_for(
    complete: ModuleType, tmp_path: Path, line: str, tag: str
) -> None:
    (tmp_path / "torch").mkdir()
    text = f"__version__ = '2.14.0'\ndebug = False\n{line}\ngit_version = 'cuda'\nhip = None\n"
    (tmp_path / "torch" / "version.py").write_text(text)
    assert complete.torch_tag(tmp_path) == tag


def test_only_what_the_toolkit_lacks_is_linked(complete: ModuleType, tmp_path: Path) -> None:
    wheels, toolkit = tmp_path / "wheels", tmp_path / "toolkit"
    for root, names in (
        (wheels, ("include/cublasLt.h", "include/cuda.h", "lib/libcublasLt.so.13")),
        (toolkit, ("include/cuda.h", "lib/libcudart.so.13")),
    ):
        for name in names:
            file = root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(root.name)
    assert complete.link_missing(wheels, toolkit) == 3
    assert (toolkit / "include" / "cuda.h").read_text() == "toolkit"
    for name in ("include/cublasLt.h", "lib/libcublasLt.so.13", "lib/libcublasLt.so"):
        assert (toolkit / name).read_text() == "wheels"
    assert complete.link_missing(wheels, toolkit) == 0
