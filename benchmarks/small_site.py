"""A project of several small cells that a real engine builds in seconds, for runs of many cells,
and its pieces for other small projects.

Each cell makes one wheel with code for 9.0 as PTX, which reaches the device that it is for. Two
steps run, one that all cells share and one of the cell that takes a moment, whenever
``context/nonce`` is another: that file is no input of a cell, so builds do work again and make the
same.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from benchmarks import seeds
from smforge.bake.host import own_engine
from smforge.bake.inputs.rootfs import ARCHIVE, root_file_systems
from smforge.matrix.load import load
from smforge.plan.resolve import resolve

ROOT = Path(__file__).parents[1]
_TAG = "py3-none-manylinux_2_17_x86_64"
WHEEL = f"flashinfer_jit_cache_sm120f-0.7.2+cu130-{_TAG}.whl"
PLATFORM = "linux/amd64"
_INFO = "flashinfer_jit_cache_sm120f-0.7.2+cu130.dist-info"
_DOCKERFILE = """\
FROM scratch AS base
COPY busybox /bin/busybox
SHELL ["/bin/busybox", "sh", "-c"]
FROM base AS common
COPY nonce /
RUN busybox printf '%s\\n' 'the same for all cells'
FROM common AS work
ARG VARIANT
ARG SECONDS
COPY *.whl /made/
RUN busybox echo $VARIANT; busybox sleep $SECONDS
FROM scratch AS provider
COPY --from=work /made /
"""
WHEEL_TARGETS = """\
target "base" {
  inherits = ["_common"]
  target   = "base"
  output   = ["type=cacheonly"]
}
target "flashinfer-sm120f" {
  inherits = ["_common"]
  target   = "provider"
  output   = ["type=local,dest=${OUT_DIR}/flashinfer-sm120f"]
}
target "flashinfer-shim" {
  inherits = ["base"]
}
"""
"""The targets of a variant with one wheel, as docker-bake.hcl has them: what a project of its own
adds is ``_common``, and a Dockerfile with the stages base and provider."""
_BAKE_FILE = """\
variable "OUT_DIR" { default = "out" }
variable "VARIANT" { default = "" }
target "_common" {
  context = "context"
  args    = { VARIANT = VARIANT, SECONDS = "%s" }
}
"""


def make_site(folder: Path, busybox: Path, variants: Sequence[str], seconds: str = "0.2") -> Path:
    """Lay the project out in a folder that is made; `seconds` is how long each step takes."""
    context = folder / "context"
    context.mkdir(parents=True)
    shutil.copy(busybox, context / "busybox")
    (context / "Dockerfile").write_text(_DOCKERFILE)
    (folder / "docker-bake.hcl").write_text(_BAKE_FILE % seconds + WHEEL_TARGETS)
    (folder / "docker").mkdir()
    (folder / "docker" / "notes").write_text("An input of every cell.\n")
    renew_nonce(folder)
    write_wheel(context, seeds.host_elf(seeds.region(seeds.entry(1, seeds.PTX, flags=0x11))))
    write_matrix(folder, {name: variant("12.0f") for name in variants})
    provide_root_file_systems(folder / "versions.json", folder / "cache" / "smforge" / "rootfs")
    return folder


def write_wheel(context: Path, library: bytes) -> None:
    """Write `WHEEL` with one library, with zip's own zero time: every project holds the same."""
    fields = "Metadata-Version: 2.1\nName: flashinfer-jit-cache-sm120f\nVersion: 0.7.2+cu130\n"
    with zipfile.ZipFile(context / WHEEL, "w") as wheel:
        wheel.writestr(zipfile.ZipInfo("flashinfer_jit_cache_sm120f/one.so"), library)
        wheel.writestr(zipfile.ZipInfo(f"{_INFO}/METADATA"), fields)
        wheel.writestr(zipfile.ZipInfo(f"{_INFO}/WHEEL"), f"Wheel-Version: 1.0\nTag: {_TAG}\n")


def variant(*targets: str) -> dict[str, Any]:
    """A variant of FlashInfer alone, for the devices that `targets` are of."""
    return {
        "toolkit": "13.0",
        "base": "packages",
        "require": {PLATFORM: [target.rstrip("af") for target in targets]},
        "components": {"flashinfer": {"selection": "core", "archs": {PLATFORM: list(targets)}}},
    }


def write_matrix(folder: Path, variants: Mapping[str, dict[str, Any]]) -> None:
    """Write versions.json of this repository with other variants; the first is the default."""
    document = json.loads((ROOT / "versions.json").read_text())
    document["variants"] = dict(variants)
    document["default"] = next(iter(variants))
    document.pop("variable")
    (folder / "versions.json").write_text(json.dumps(document, indent=2))


def provide_root_file_systems(matrix: Path, store: Path) -> None:
    """Put empty archives where a build looks for them; small definitions make no use of them."""
    for cell in resolve(load(matrix)).cells:
        for rootfs in root_file_systems(cell).values():
            place = store / rootfs.directory_name
            place.mkdir(parents=True, exist_ok=True)
            (place / ARCHIVE).touch()


def renew_nonce(folder: Path) -> str:
    """Let the steps of the next build run; the result is the new content of the file."""
    nonce = uuid4().hex
    (folder / "context" / "nonce").write_text(nonce)
    return nonce


def environment(folder: Path) -> dict[str, str]:
    """The environment of a command in the project."""
    ours = {
        "PYTHONPATH": str(ROOT / "builder"),
        "SMFORGE_CA_BUNDLE": "",
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    return {**os.environ, **own_engine.settings(os.environ), **ours}


def build_command(*arguments: str) -> tuple[str, ...]:
    """The command that builds cells of the project, whose sources are not asked.

    The code is made by hand, as cuobjdump does not read it.
    """
    build = (sys.executable, "-m", "smforge", "--quiet", "build")
    return (*build, "--preflight", "off", "--backend", "native", *arguments)


def resume_command(*arguments: str) -> tuple[str, ...]:
    """The command that finishes the last run."""
    return (sys.executable, "-m", "smforge", "--quiet", "build", "--resume", *arguments)
