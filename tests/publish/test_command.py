"""``smforge build --push`` and ``smforge index`` from the matrix to a registry and an index."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from benchmarks.canary import Canary
from benchmarks.small_site import (
    WHEEL,
    WHEEL_TARGETS,
    provide_root_file_systems,
    variant,
    write_matrix,
    write_wheel,
)
from smforge.bake.host import own_engine

ROOT = Path(__file__).parents[2]
VARIANT = "small"
DOCKERFILE = """\
FROM scratch AS base
COPY busybox unique /
RUN --mount=type=secret,id=ca ["/busybox", "sha256sum", "/run/secrets/ca", "/unique"]
FROM scratch AS provider
COPY *.whl /
FROM scratch AS facts
COPY facts /
FROM scratch AS image
COPY lib /usr/lib
COPY unique /
"""
BAKE_FILE = """\
variable "OUT_DIR" { default = "out" }
variable "IMAGE" { default = "" }
variable "IMAGE_TAG" { default = "" }
variable "REQUIRED_DEVICES" { default = "" }
variable "CA_BUNDLE" { default = "" }
target "_common" {
  context = "context"
  secret  = ["type=file,id=ca,src=${CA_BUNDLE}"]
}
target "flashinfer-sm110a" {
  inherits = ["flashinfer-sm120f"]
}
target "image-check" {
  inherits = ["_common"]
  target   = "facts"
  output   = ["type=local,dest=${OUT_DIR}/image-check"]
}
target "image" {
  inherits = ["_common"]
  target   = "image"
  tags     = ["${IMAGE}:${IMAGE_TAG}"]
  labels   = { "io.smforge.devices" = REQUIRED_DEVICES }
  attest   = ["type=provenance,mode=max"]
  output   = ["type=oci,tar=false,dest=${OUT_DIR}/image"]
}
"""


@pytest.fixture
def secret() -> str:
    """What must be nowhere in what a build leaves."""
    return f"canary-{uuid4().hex}"


@pytest.fixture
def site(library: Path, busybox: Path, secret: str, tmp_path: Path) -> Path:
    """A matrix of one small variant, and a definition that builds it in a second."""
    site = tmp_path / "site"
    (site / "context" / "lib").mkdir(parents=True)
    shutil.copy(library, site / "context" / "lib")
    shutil.copy(busybox, site / "context" / "busybox")
    (tmp_path / "ca.pem").write_text(f"{secret}\n")
    (site / "context" / "unique").write_text(str(uuid4()))
    (site / "context" / "Dockerfile").write_text(DOCKERFILE)
    (site / "docker-bake.hcl").write_text(BAKE_FILE + WHEEL_TARGETS)
    write_facts(site / "context" / "facts", tmp_path / "environment")
    write_wheel(site / "context", library.read_bytes())
    write_matrix(site, {VARIANT: with_image("12.0f")})
    return site


def with_image(*targets: str) -> dict[str, Any]:
    """A variant for the devices of these targets, with an image."""
    image = {"name": f"smforge-test/{uuid4().hex}", "user": "root"}
    return {**variant(*targets), "image": image}


def write_facts(folder: Path, environment: Path) -> None:
    """What the probes see in an environment with nothing in it."""
    uv = Path(sys.executable).with_name("uv")
    subprocess.run((uv, "venv", "--quiet", "--python", sys.executable, environment), check=True)
    probes = ROOT / "builder/smforge/inventory/probing/programs/run.py"
    python = environment / "bin/python"
    subprocess.run((python, probes, "--devices", "12.0", folder), check=True)


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def smforge(site: Path, tmp_path: Path) -> Run:
    ours = {
        "PYTHONPATH": str(ROOT / "builder"),
        "SMFORGE_CA_BUNDLE": str(tmp_path / "ca.pem"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    provide_root_file_systems(site / "versions.json", tmp_path / "cache" / "smforge" / "rootfs")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            (sys.executable, "-m", "smforge", *arguments),
            cwd=site,
            env={**os.environ, **own_engine.settings(os.environ), **ours},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.mark.engine
@pytest.mark.toolchain
@pytest.mark.network
def test_a_build_that_passes_is_loaded_pushed_and_indexed(  # noqa: PLR0917 - fixtures
    smforge: Run, site: Path, registry: str, ask: Callable[..., Any], secret: str, tmp_path: Path
) -> None:
    build = ("build", "--preflight", "off", "-o", "json", "--load", "--push", f"{registry}/small")
    done = smforge(*build)
    assert done.returncode == 0, done.stdout + done.stderr
    (image,) = json.loads(done.stdout)["published"]
    name = json.loads((site / "versions.json").read_text())["variants"][VARIANT]["image"]["name"]
    _, _, tag = image["pushed"].rpartition(":")
    try:
        assert image["loaded"] == f"{name}:{tag}"
        subprocess.run(
            ("docker", "image", "inspect", image["loaded"]), check=True, stdout=subprocess.DEVNULL
        )
    finally:
        subprocess.run(
            ("docker", "image", "rm", image["loaded"]), check=False, stdout=subprocess.DEVNULL
        )
    index = ask(f"small/manifests/{tag}")
    assert index == ask(f"small/manifests/{image['digest']}")
    assert index["annotations"]["io.smforge.verdict"] == "pass"
    assert index["annotations"]["io.smforge.devices"] == "12.0"
    log = (site / "out" / VARIANT / "logs" / "linux-amd64" / "base.log").read_text()
    assert "/run/secrets/ca" in log
    canary = Canary(secret.encode())
    assert list(canary.places(tmp_path / "ca.pem")) != []
    assert list(canary.places(site)) == list(canary.places(tmp_path / "registry")) == []
    done = smforge("index")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (site / "whl/cu130").rglob("*.whl")] == [WHEEL]


@pytest.mark.engine
@pytest.mark.toolchain
@pytest.mark.network
def test_a_device_that_is_missing_stops_everything_that_follows(
    smforge: Run, site: Path, registry: str, ask: Callable[..., Any]
) -> None:
    document = json.loads((site / "versions.json").read_text())
    # What is called a provider for 11.0 holds the code for 12.0.
    document["variants"] = {VARIANT: with_image("11.0a", "12.0f")}
    (site / "versions.json").write_text(json.dumps(document))
    done = smforge("build", "--preflight", "off", "--load", "--push", f"{registry}/small")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "11.0" in done.stdout
    assert ask("_catalog") == {"repositories": []}
    assert smforge("index").returncode == 2


@pytest.mark.engine
@pytest.mark.toolchain
@pytest.mark.network
def test_a_wheel_too_large_for_its_index_gets_no_place(
    smforge: Run, site: Path, registry: str, ask: Callable[..., Any]
) -> None:
    document = json.loads((site / "versions.json").read_text())
    document["toolkits"]["13.0"]["wheel_mb"] = 0.0005
    (site / "versions.json").write_text(json.dumps(document))
    done = smforge("build", "--preflight", "off", "--push", f"{registry}/small")
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{WHEEL} (" in done.stderr
    assert "over the limit of 0.0005 MB for a file" in done.stderr
    out = site / "out" / VARIANT
    assert not (out / "linux-amd64").exists()
    rejected = out / "rejected" / "linux-amd64"
    assert [path.name for path in rejected.rglob("*.whl")] == [WHEEL]
    record = json.loads((rejected / "record.json").read_text())
    assert (record["result"], record["exit_code"]) == ("rejected", 1)
    assert "over the limit" in record["error"]
    assert any("cannot be published" in path.read_text() for path in rejected.glob("*.txt"))
    assert ask("_catalog") == {"repositories": []}


@pytest.mark.toolchain
def test_what_has_no_image_is_not_pushed(smforge: Run, site: Path) -> None:
    document = json.loads((site / "versions.json").read_text())
    del document["variants"][VARIANT]["image"]
    (site / "versions.json").write_text(json.dumps(document))
    done = smforge("build", "--push", "registry.example/small")
    assert done.returncode == 2
    assert f"{VARIANT} of this matrix: no image" in done.stderr
