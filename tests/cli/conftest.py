"""Real things to audit, made by nvcc once per session, and the command as users run it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ACTIVATION = r"""
template <class T> __global__ void act(T* a) { a[threadIdx.x] *= 2; }
template __global__ void act<float>(float*);
template __global__ void act<int>(int*);
"""
NORM = r"""
extern "C" __global__ void normalise(float* a) { a[threadIdx.x] = 1; }
"""
SHARED = ("-shared", "-Xcompiler", "-fPIC")


@dataclass(frozen=True)
class Ran:
    """A finished command."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def smforge() -> Callable[..., Ran]:
    """``smforge(argument, …)`` runs the command in a process of its own."""

    def run(*arguments: str | Path) -> Ran:
        command = [sys.executable, "-m", "smforge", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr, done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def libraries(compile_with: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder: activation.so for 12.0f alone, norm.so for 8.0 and as PTX 8.0 and for 12.0f."""
    folder = tmp_path_factory.mktemp("libraries")
    family = ("-gencode", "arch=compute_120f,code=sm_120f")
    ampere = ("-gencode", "arch=compute_80,code=[sm_80,compute_80]")
    compile_with(ACTIVATION, "activation.so", *SHARED, *family).rename(folder / "activation.so")
    compile_with(NORM, "norm.so", *SHARED, *ampere, *family).rename(folder / "norm.so")
    return folder


@pytest.fixture(scope="session")
def wheel(libraries: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel with activation.so alone: the build whose list was cut to 12.0f."""
    path = tmp_path_factory.mktemp("wheel") / "kernels-1.0-py3-none-linux_x86_64.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(libraries / "activation.so", "kernels/activation.so")
        archive.writestr("kernels/__init__.py", "")
        archive.writestr(
            "kernels-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-linux_x86_64\n"
        )
    return path
