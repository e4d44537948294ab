"""Runs FlashInfer's own generators of AOT modules and writes down what they would compile.

    python flashinfer_specs.py ROOT BUILD_DIR OUTPUT

The list is taken where FlashInfer would start compiling, and the flags are the ones that its own
build file would have.
"""

import importlib
import json
import os
import platform
import re
import shlex
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

stand_ins: Any = importlib.import_module("flashinfer_stand_ins")


Flags = Callable[[list[str] | None], list[str]]
"""From a module's own flags for nvcc to all of them."""

_CUDA_FLAGS = re.compile(
    r"^cuda_cflags = (?P<flags>.*?)^cuda_post_cflags", re.DOTALL | re.MULTILINE
)


def main(root: Path, build: Path, output: Path) -> None:
    stand_ins.prepare(root)
    # The flags of some modules depend on the CPU, which is the build's and not this machine's.
    platform.machine = lambda: os.environ["SMFORGE_PROCESSOR"]
    importlib.import_module("remembered").remember_templates()
    aot: Any = importlib.import_module("flashinfer.aot")
    if not stand_ins.real_packages():
        stand_ins.stand_in_for_artefacts()
    flags = _flags_of_build_file(importlib.import_module("flashinfer.jit.cpp_ext"))
    specs: list[Any] = []
    aot.build_jit_specs = lambda found, **_: specs.extend(found)
    aot.compile_and_package_modules(None, build, root, {}, verbose=False)
    modules = [_module(spec, flags, root, build) for spec in specs]
    output.write_text(json.dumps(modules))


def _flags_of_build_file(cpp_ext: Any) -> Flags:
    """How this release makes the flags of a CUDA source."""
    if hasattr(cpp_ext, "build_cuda_cflags"):
        return lambda own: list(cpp_ext.build_cuda_cflags([], own))

    @cache
    def flags(own: tuple[str, ...] | None) -> list[str]:
        # Before 0.6 a function writes the whole build file.
        text = cpp_ext.generate_ninja_build_for_op(
            name="module",
            sources=[],
            extra_cflags=None,
            extra_cuda_cflags=None if own is None else list(own),
            extra_ldflags=None,
            extra_include_dirs=None,
        )
        found = _CUDA_FLAGS.search(text)
        if found is None:
            raise RuntimeError("FlashInfer's build file has no cuda_cflags")
        return shlex.split(found["flags"].replace("$\n", " "))

    return lambda own: flags(None if own is None else tuple(own))


def _module(spec: Any, flags: Flags, root: Path, build: Path) -> dict[str, Any]:
    by_source = getattr(spec, "extra_cuda_cflags_by_source", None) or {}
    special = {_resolved(source): own for source, own in by_source.items()}
    common = flags(spec.extra_cuda_cflags)
    return {
        "name": spec.name,
        "sources": [
            {
                "path": _relative(Path(source), root, build),
                "flags": _gencode(
                    flags(special[_resolved(source)])
                    if special and _resolved(source) in special
                    else common
                ),
            }
            for source in spec.sources
            if Path(source).suffix == ".cu"
        ],
    }


@cache
def _resolved(source: str | Path) -> Path:
    """Without links; modules share most of their sources."""
    return Path(source).resolve()


@cache
def _relative(source: Path, root: Path, build: Path) -> str:
    source = _resolved(source)
    for base, prefix in ((root, ""), (build, "build/")):
        if source.is_relative_to(base):
            return prefix + source.relative_to(base).as_posix()
    return source.as_posix()


def _gencode(flags: list[str]) -> list[str]:
    return [flag for flag in flags if "gencode" in flag or flag.startswith(("-arch", "-code"))]


if __name__ == "__main__":
    main(*(Path(word).resolve() for word in sys.argv[1:4]))
