"""Real output of nvcc in every form that the native reader must know, compiled once per session."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from smforge.inventory.formats.blob import FileBlob
from smforge.inventory.native.reader import read_file
from smforge.inventory.options import ReadOptions
from smforge.inventory.records import FileInventory

KERNELS = r"""
__device__ __noinline__ int helper(int* x) { return x[threadIdx.x] * 7 + clock(); }
extern "C" __global__ void empty() {}
extern "C" __global__ void calls(int* x) { x[0] = helper(x); }
template <int N> __global__ void sized(float* x) { x[N] = N; }
template __global__ void sized<3>(float*);
template __global__ void sized<4>(float*);
namespace { __device__ int hidden; }
extern "C" __global__ void touches(int* x) { *x = hidden; }
"""
SECOND = r"""
extern "C" __device__ int far(int);
extern "C" __global__ void remote(int* x) { *x = far(*x); }
"""
THIRD = r"""
extern "C" __device__ __noinline__ int far(int x) { return x * 3 + 1; }
extern "C" __global__ void nearby(int* x) { *x = far(*x); }
"""


class Samples:
    """Compiles what a test asks for, each thing once."""

    NAMES = ("_Z5sizedILi3EEvPf", "_Z5sizedILi4EEvPf", "calls", "empty", "touches")
    """The kernels of every sample but the linked ones, sorted."""
    PACKED_TARGETS = (
        ("cubin", "10.3a"),
        ("cubin", "12.0f"),
        ("cubin", "7.5"),
        ("cubin", "9.0a"),
        ("ptx", "9.0"),
    )
    """(kind, target) of what `packed` holds, sorted."""

    def __init__(self, nvcc: Path, folder: Path) -> None:
        self._nvcc = nvcc
        self._folder = folder
        self.packed = cache(self._packed)
        """An object file with PACKED_TARGETS, packed in one of nvcc's modes."""
        self.library = cache(self._library)
        """A shared library for the given targets."""
        self.linked = cache(self._linked)
        """A folder with relocatable code: second.o, third.o, libunits.a and libunits.so."""
        self.cubin = cache(self._cubin)
        """A raw cubin for a target such as ``sm_120f``."""

    def compile(self, output: str, *flags: str, source: str = KERNELS) -> Path:
        """Run nvcc in a folder of its own and return what it writes."""
        place = self._folder / f"{len(list(self._folder.iterdir()))}"
        place.mkdir()
        (place / "kernels.cu").write_text(source)
        self.run(self._nvcc, *flags, "-o", output, "kernels.cu", folder=place)
        return place / output

    @staticmethod
    def run(tool: Path | str, *arguments: str, folder: Path) -> None:
        """Run a tool of the toolchain; where it fails the test shows what it said."""
        result = subprocess.run(
            [str(tool), *arguments], cwd=folder, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stderr

    @staticmethod
    def gencode(*codes: str) -> list[str]:
        """nvcc's flags for machine code (``sm_120f``), PTX (``compute_90``) and LTO-IR."""
        flags = []
        for code in codes:
            flags += ["-gencode", f"arch=compute_{code.partition('_')[2]},code={code}"]
        return flags

    def _packed(self, mode: str) -> Path:
        codes = self.gencode("sm_75", "sm_90a", "sm_103a", "sm_120f", "compute_90")
        # Without -compress-all only PTX would be packed.
        packing = ["-Xfatbin", "-compress-all"] if mode != "none" else []
        return self.compile("kernels.o", "-c", f"--compress-mode={mode}", *packing, *codes)

    def _library(self, *codes: str) -> Path:
        shared = ("-shared", "-Xcompiler", "-fPIC", "-cudart", "none")
        return self.compile("libkernels.so", *shared, *self.gencode(*codes))

    def _linked(self) -> Path:
        folder = self._folder / "linked"
        folder.mkdir()
        flags = [*self.gencode("sm_90", "sm_120a"), "-Xcompiler", "-fPIC"]
        for unit, source in (("second", SECOND), ("third", THIRD)):
            (folder / f"{unit}.cu").write_text(source)
            self.run(self._nvcc, "-dc", *flags, "-o", f"{unit}.o", f"{unit}.cu", folder=folder)
        units = ("second.o", "third.o")
        self.run(self._nvcc, "-lib", "-o", "libunits.a", *units, folder=folder)
        self.run(self._nvcc, "-shared", *flags, "-o", "libunits.so", *units, folder=folder)
        return folder

    def _cubin(self, target: str) -> Path:
        return self.compile(f"{target}.cubin", "-cubin", f"-arch={target}")


@pytest.fixture(scope="session")
def samples(nvcc: Path, tmp_path_factory: pytest.TempPathFactory) -> Samples:
    return Samples(nvcc, tmp_path_factory.mktemp("samples"))


@pytest.fixture
def read() -> Callable[..., FileInventory]:
    """Reads one file that holds GPU code."""

    def read_path(path: Path, **options: Any) -> FileInventory:
        with FileBlob.from_path(path) as blob:
            found = read_file(path.name, blob, ReadOptions(**options))
        assert found is not None
        return found

    return read_path


@pytest.fixture
def targets() -> Callable[[FileInventory], list[tuple[str, str]]]:
    """Lists (kind, target) of every code object of a file, sorted."""

    def list_targets(file: FileInventory) -> list[tuple[str, str]]:
        return sorted(
            (str(code.kind), str(code.target)) for region in file.regions for code in region.objects
        )

    return list_targets
