"""Lay NVIDIA's libraries for another CPU out where nvcc looks for them when it cross-compiles.

usage: lay_out_target.py SITE_PACKAGES CUDA_HOME CPU

nvcc tells the other CPU from the compiler that -ccbin names, and then takes headers and libraries
from its directory of `targets`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import lay_out_cuda


def lay_out_target(site_packages: Path, cuda_home: Path, cpu: str) -> Path:
    """Fill the directory of `targets` for `cpu` from the wheels, and link `cross` to it."""
    wheels = lay_out_cuda.toolkit_directory(site_packages)
    lay_out_cuda.link_development_names(wheels / "lib")
    target = cuda_home / "targets" / lay_out_cuda.TARGETS[cpu]
    target.mkdir(parents=True, exist_ok=True)
    # The headers are the same for every CPU, and the toolkit has more of them than these wheels.
    lay_out_cuda.link(target / "include", Path("../../include"))
    lay_out_cuda.link(target / "lib", wheels / "lib")
    lay_out_cuda.link(cuda_home / "targets" / "cross", Path(target.name))
    compiler = f"{cpu}-linux-gnu-gcc"
    lay_out_cuda.make_driverless_libcuda(cuda_home / "include", target / "lib", compiler)
    return target


if __name__ == "__main__":
    lay_out_target(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
