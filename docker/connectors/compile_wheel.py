"""Compile a torch extension's source tree to one wheel, for an exact list of architectures.

usage: compile_wheel.py SOURCE --archs "9.0 12.0f" --version 0.5.6+cu130 --cuda cu130 --out FOLDER

The platform tag is auditwheel's finding, and the wheel is reproducible: setuptools and auditwheel
take their times from SOURCE_DATE_EPOCH, and sccache gives nvcc's intermediate files the same names.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

PROVIDED_BY_OTHERS = ("libcu*.so.*", "libnv*.so.*", "libtorch*.so", "libc10*.so")
"""Libraries that torch or the driver bring at run time: not to be put into the wheel."""


def arch_settings(words: list[str], nvcc: str) -> dict[str, str]:
    """The environment that makes torch's cpp_extension compile for `words` with `nvcc`.

    torch 2.14 knows no family-specific target (12.0f) there, so these reach nvcc beside torch's own
    flags. torch insists on a list: without any other word, the plain form of the first is compiled
    too. Flags belong to the command and not to NVCC_APPEND_FLAGS, which the cache does not look at.
    """
    families = [word for word in words if word.endswith("f")]
    known = [word for word in words if word not in families] or [families[0].removesuffix("f")]
    numbers = [family.replace(".", "") for family in families]
    gencodes = [f"-gencode=arch=compute_{number},code=sm_{number}" for number in numbers]
    return {
        "TORCH_CUDA_ARCH_LIST": " ".join(known),
        "PYTORCH_NVCC": " ".join([nvcc, *gencodes]),
    }


def compile_wheel(source: Path, settings: Mapping[str, str], out: Path) -> Path:
    """Build the project in `source`, with the tools of this environment, into `out`."""
    pip = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index")
    command = (*pip, "--no-cache-dir", "--verbose", "--wheel-dir", str(out), str(source))
    subprocess.run(command, env={**os.environ, **settings}, check=True)
    (wheel,) = out.glob("*.whl")
    return wheel


def tag_platform(wheel: Path, out: Path) -> None:
    """Write `wheel` to `out` with the platform tag that its libraries need."""
    excludes = [f"--exclude={pattern}" for pattern in PROVIDED_BY_OTHERS]
    command = ("auditwheel", "repair", "--only-plat", *excludes, "-w", str(out), str(wheel))
    subprocess.run(command, check=True)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("--archs", required=True, help="in torch's grammar, between spaces")
    parser.add_argument("--version", required=True, help="for example 0.5.6+cu130")
    parser.add_argument("--cuda", required=True, help="for example cu130")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    settings = {
        **arch_settings(arguments.archs.split(), os.environ.get("PYTORCH_NVCC", "nvcc")),
        "SETUPTOOLS_SCM_PRETEND_VERSION": arguments.version,
        # LMCache's wheel requires CuPy and cuda-python of this CUDA.
        "LMCACHE_CUDA_MAJOR": arguments.cuda.removeprefix("cu")[:-1],
        # Python's own flags ask for debugging information: most of the wheel, and the one part in
        # which two builds differed.
        "CFLAGS": "-g0",
        # What nvcc is found must not decide whether there are CUDA operators at all.
        "BUILD_WITH_CUDA": "1",
    }
    with tempfile.TemporaryDirectory() as scratch:
        wheel = compile_wheel(arguments.source, settings, Path(scratch))
        tag_platform(wheel, arguments.out)


if __name__ == "__main__":
    main()
