"""Lay NVIDIA's compiler wheels out as the CUDA toolkit directory that build systems expect.

usage: lay_out_cuda.py SITE_PACKAGES CUDA_HOME
"""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from pathlib import Path

TARGETS = {"x86_64": "x86_64-linux", "aarch64": "sbsa-linux"}
"""The names of the toolkit's `targets` directories, by the CPU's name."""


def toolkit_directory(site_packages: Path) -> Path:
    """Where the wheels of one CUDA major version lie: ``nvidia/cu13``."""
    found = sorted(site_packages.glob("nvidia/cu[0-9]*"))
    if len(found) != 1:
        raise SystemExit(f"expected one nvidia/cuNN below {site_packages}, found {len(found)}")
    return found[0]


def link_development_names(libraries: Path) -> None:
    """Add ``libcudart.so`` beside ``libcudart.so.13``: wheels carry only what the loader needs."""
    for library in sorted(libraries.glob("lib*.so.*")):
        name = re.sub(r"\.so\..*", ".so", library.name)
        link(libraries / name, Path(library.name))


def driver_functions(header: str) -> list[str]:
    """The names that ``cuda.h`` declares, versioned ones such as ``cuMemAlloc_v2`` included."""
    return sorted(set(re.findall(r"\bCUDAAPI\s+(cu[A-Z]\w*)", header)))


def driverless_source(header: str) -> str:
    """C code of a library with every driver function, each answering CUDA_ERROR_STUB_LIBRARY.

    It is compiled without ``cuda.h``, whose macros therefore have to be resolved here.
    """
    renamed = dict(re.findall(r"^#define\s+(cu[A-Z]\w*)\s+(cu[A-Z]\w*)\s*$", header, re.MULTILINE))
    names = {renamed.get(name, name) for name in driver_functions(header)} | set(renamed)
    return "".join(f"int {name}(void) {{ return 34; }}\n" for name in sorted(names))


def make_driverless_libcuda(headers: Path, libraries: Path, compiler: str) -> None:
    """Make a libcuda to link against where no driver is installed; it is not for running."""
    folder = libraries / "stubs"
    folder.mkdir(exist_ok=True)
    header = (headers / "cuda.h").read_text(encoding="utf-8")
    command = (compiler, "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o", "libcuda.so")
    subprocess.run(
        (*command, "-x", "c", "-"),
        cwd=folder,
        input=driverless_source(header),
        text=True,
        check=True,
    )


def link(name: Path, to: Path) -> None:
    """Make a symbolic link unless something has that name."""
    if not name.is_symlink() and not name.exists():
        name.symlink_to(to)


def lay_out(site_packages: Path, cuda_home: Path) -> None:
    """Make `cuda_home` a toolkit directory over the wheels below `site_packages`."""
    toolkit = toolkit_directory(site_packages)
    link(cuda_home, toolkit)
    link(toolkit / "lib64", Path("lib"))
    link_development_names(toolkit / "lib")
    make_driverless_libcuda(toolkit / "include", toolkit / "lib", "gcc")
    target = toolkit / "targets" / TARGETS[platform.machine()]
    target.mkdir(parents=True, exist_ok=True)
    for name in ("include", "lib"):
        link(target / name, Path("../..") / name)


if __name__ == "__main__":
    lay_out(Path(sys.argv[1]), Path(sys.argv[2]))
