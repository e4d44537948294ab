"""The stages of docker/image on a real engine, with a bare Debian where torch would be.

Named contexts take the place of stages, so that what a stage sets is seen without what it costs.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smforge.bake.host import own_engine
from smforge.bake.inputs.rootfs import default_store, ensure_rootfs, root_file_systems
from smforge.inventory.options import ReadOptions
from smforge.inventory.subjects.opening import open_subject
from smforge.matrix.load import load
from smforge.plan.resolve import resolve

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("engine")]

Build = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def runtime_root() -> Path:
    """The folder with the root file system that a variant with an image starts from."""
    (cell,) = resolve(load(ROOT / "versions.json"), ("demo-full",)).cells
    return ensure_rootfs(root_file_systems(cell)["RUNTIME_ROOTFS_DIR"], default_store())


@pytest.fixture
def build(runtime_root: Path, tmp_path: Path) -> Build:
    """Build the image anew with these build arguments; returns its configuration and its files."""
    base = tmp_path / "base"
    ptxas = base / "usr/local/cuda/bin/ptxas"
    ptxas.parent.mkdir(parents=True)
    ptxas.write_text("#!/bin/sh\n")
    ptxas.chmod(0o755)
    layout = tmp_path / "layout"

    def run(**arguments: str) -> dict[str, Any]:
        contexts = {name: str(base) for name in ("base", "root", "wheels", "probes")}
        targets = {
            "installed": {
                "context": str(runtime_root),
                "dockerfile-inline": "FROM scratch\nADD rootfs.tar /\n",
                "output": ["type=cacheonly"],
            },
            "image": {
                "context": str(ROOT / "docker" / "image"),
                "contexts": {**contexts, "installed": "target:installed"},
                "target": "image",
                "args": arguments,
                "no-cache": True,
                "output": [f"type=oci,tar=false,compression=zstd,dest={layout}"],
            },
        }
        file = tmp_path / "bake.json"
        file.write_text(json.dumps({"target": targets}))
        shutil.rmtree(layout, ignore_errors=True)
        done = subprocess.run(
            ("docker", "buildx", "bake", "-f", str(file), "--allow=fs=*", "image"),
            env={**os.environ, **own_engine.settings(os.environ)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return configuration_of(layout)

    return run


def configuration_of(layout: Path) -> dict[str, Any]:
    """The configuration, the paths of all files as ``files``, the layers' digests as ``layers``."""

    def blob(digest: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(
            (layout / "blobs" / digest.replace(":", "/")).read_bytes()
        )
        return content

    manifest = blob(json.loads((layout / "index.json").read_bytes())["manifests"][0]["digest"])
    configuration: dict[str, Any] = blob(manifest["config"]["digest"])["config"]
    variables = dict(one.split("=", 1) for one in configuration["Env"])
    with open_subject(f"oci:{layout}", ReadOptions()) as subject:
        files = sorted(member.path for member in subject.members())
    layers = [one["digest"] for one in manifest["layers"]]
    return {**configuration, "Env": variables, "files": files, "layers": layers}


def test_the_assembler_that_triton_brings_is_left_alone(build: Build) -> None:
    made = build()
    assert not [name for name in made["Env"] if name.startswith("TRITON")]
    assert "usr/local/cuda/bin/ptxas" not in made["files"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"TRITON_PTXAS": "toolkit"}, {"TRITON_PTXAS_PATH"}),
        ({"TRITON_PTXAS_BLACKWELL": "toolkit"}, {"TRITON_PTXAS_BLACKWELL_PATH"}),
        (
            {"TRITON_PTXAS": "toolkit", "TRITON_PTXAS_BLACKWELL": "toolkit"},
            {"TRITON_PTXAS_PATH", "TRITON_PTXAS_BLACKWELL_PATH"},
        ),
    ],
)
def test_the_toolkits_assembler_takes_the_place_of_one_that_lacks_a_device(
    build: Build, arguments: dict[str, str], named: set[str]
) -> None:
    made = build(**arguments)
    assert {name for name in made["Env"] if name.startswith("TRITON")} == named
    assert {made["Env"][name] for name in named} == {"/usr/local/cuda/bin/ptxas"}
    assert "usr/local/cuda/bin/ptxas" in made["files"]


def test_two_builds_have_the_same_layers(build: Build) -> None:
    """Without rewrite-timestamp, whose second pass over every layer took half of the export."""
    arguments = {"TRITON_PTXAS": "toolkit", "IMAGE_USER": "vllm"}
    first, second = build(**arguments), build(**arguments)
    assert len(set(first["layers"])) > 2, "there is nothing to compare"
    assert first["layers"] == second["layers"]


def test_vllm_is_what_starts_where_it_is_in(build: Build) -> None:
    made = build(IMAGE_ENTRY="vllm")
    assert made["Entrypoint"] == ["vllm", "serve"]
    made = build(IMAGE_ENTRY="python")
    assert not made.get("Entrypoint")
    assert made["Cmd"] == ["python3"]


@pytest.mark.parametrize(
    ("selection", "told"), [("core", None), ("common", "1"), ("", None), ("full", "1")]
)
def test_vllm_is_told_of_flashinfers_kernels_where_those_it_calls_are_there(
    build: Build, selection: str, told: str | None
) -> None:
    made = build(FLASHINFER_SELECTION=selection)
    assert made["Env"].get("VLLM_HAS_FLASHINFER_CUBIN") == told
    # FlashInfer's GEMM is not in common: vLLM's linear layers must not choose it.
    assert ("VLLM_DISABLED_KERNELS" in made["Env"]) == (selection == "common")


def test_an_image_says_what_it_is_and_leaves_out_what_nobody_told() -> None:
    def labels(**variables: str) -> dict[str, str]:
        done = subprocess.run(
            (*("docker", "buildx", "bake", "--print"), "-f", "docker-bake.hcl", "image"),
            cwd=ROOT,
            env={
                **os.environ,
                **own_engine.settings(os.environ),
                "BUILD_NETWORK": "default",
                **variables,
            },
            capture_output=True,
            text=True,
            check=True,
        )
        found: dict[str, str] = json.loads(done.stdout)["target"]["image"]["labels"]
        return found

    told = labels(
        IMAGE="a/b",
        IMAGE_TAG="1",
        REVISION="c0ffee",
        VLLM_ARCHS="12.1a",
        VLLM_VERSION="0.33.0",
        REQUIRED_DEVICES="12.1",
        CUDA_VERSION="13.0.2",
        SOURCE_DATE_EPOCH="1795219200",
    )
    assert told["org.opencontainers.image.created"] == "2026-11-21T00:00:00Z"
    assert told["org.opencontainers.image.revision"] == "c0ffee"
    assert told["org.opencontainers.image.description"] == (
        "vLLM 0.33.0 for CUDA 13.0.2 on compute capability 12.1"
    )
    assert told["io.smforge.devices"] == "12.1"
    assert "org.opencontainers.image.revision" not in labels(IMAGE="a/b")
