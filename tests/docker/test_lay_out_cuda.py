"""NVIDIA's wheels as a toolkit directory, and the libcuda that only links."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

HEADER = """\
#define cuMemAlloc                          cuMemAlloc_v2
CUresult CUDAAPI cuInit(unsigned int Flags);
CUresult CUDAAPI cuMemAlloc(CUdeviceptr *dptr, size_t bytesize);
"""


@pytest.fixture
def lay_out_cuda(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("base/lay_out_cuda")


@pytest.fixture
def site_packages(tmp_path: Path) -> Path:
    toolkit = tmp_path / "site" / "nvidia" / "cu13"
    (toolkit / "lib").mkdir(parents=True)
    (toolkit / "lib" / "libcudart.so.13").write_bytes(b"")
    (toolkit / "include").mkdir()
    (toolkit / "include" / "cuda.h").write_text(HEADER)
    return tmp_path / "site"


def test_build_systems_find_what_they_look_for(
    lay_out_cuda: ModuleType, site_packages: Path, tmp_path: Path
) -> None:
    home = tmp_path / "cuda"
    lay_out_cuda.lay_out(site_packages, home)
    target = home / "targets" / lay_out_cuda.TARGETS[platform.machine()]
    for folder in (home / "lib64", target / "lib"):
        assert (folder / "libcudart.so").resolve().name == "libcudart.so.13"
    assert (target / "include" / "cuda.h").is_file()


def test_laying_out_twice_changes_nothing(
    lay_out_cuda: ModuleType, site_packages: Path, tmp_path: Path
) -> None:
    def tree() -> list[str]:
        return sorted(str(path) for path in tmp_path.rglob("*"))

    lay_out_cuda.lay_out(site_packages, tmp_path / "cuda")
    once = tree()
    lay_out_cuda.lay_out(site_packages, tmp_path / "cuda")
    assert tree() == once


def test_the_driverless_libcuda_has_both_names_of_a_renamed_function(
    lay_out_cuda: ModuleType, site_packages: Path, tmp_path: Path
) -> None:
    lay_out_cuda.lay_out(site_packages, tmp_path / "cuda")
    library = ctypes.CDLL(str(tmp_path / "cuda" / "lib64" / "stubs" / "libcuda.so"))
    for name in ("cuInit", "cuMemAlloc", "cuMemAlloc_v2"):
        assert getattr(library, name)() == 34  # CUDA_ERROR_STUB_LIBRARY


def test_two_majors_at_once_are_refused(
    lay_out_cuda: ModuleType, site_packages: Path, tmp_path: Path
) -> None:
    (site_packages / "nvidia" / "cu12").mkdir()
    with pytest.raises(SystemExit, match="expected one nvidia/cuNN"):
        lay_out_cuda.lay_out(site_packages, tmp_path / "cuda")


def test_another_cpus_libraries_lie_where_nvcc_looks(
    script: Callable[[str], ModuleType],
    site_packages: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # In the image the scripts lie in one directory.
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "docker" / "base"))
    home = tmp_path / "cuda"
    (home / "include").mkdir(parents=True)
    (home / "include" / "cuda.h").write_text(HEADER)
    # Debian's compiler for this CPU goes by such a name too.
    cpu = platform.machine()
    target = script("base/lay_out_target").lay_out_target(site_packages, home, cpu)
    assert (home / "targets" / "cross").resolve() == target
    assert (target / "lib" / "libcudart.so").resolve().name == "libcudart.so.13"
    assert (target / "include" / "cuda.h").is_file()
    assert ctypes.CDLL(str(target / "lib" / "stubs" / "libcuda.so")).cuInit() == 34
