"""A build whose image lacks a device: nothing of it is completed, tagged or put in its place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from smforge.arch.requirement import parse_requirements
from smforge.bake.host.settings import HostSettings
from smforge.bake.inputs.rootfs import root_file_systems
from smforge.errors import BuildFailedError
from smforge.matrix.load import load
from smforge.plan.records import Cell
from smforge.plan.resolve import resolve
from smforge.verdict.reading import Backend
from smforge.verdict.request import AuditRequest
from smforge.workflow.building.auditing import audit_image
from smforge.workflow.building.build import Builder
from smforge.workflow.building.messages import Messages
from smforge.workflow.building.results import Built, CellAudit
from smforge.workflow.building.settings import BuildSettings

ROOT = Path(__file__).parents[2]
PROBES = ROOT / "builder" / "smforge" / "inventory" / "probing" / "programs" / "run.py"
WHEEL = "kernels-1.0-py3-none-linux_x86_64.whl"
LIBRARY = "opt/venv/lib/python3.13/site-packages/component/_C.so"
BAKE_FILE = """
variable "OUT_DIR" { default = "out" }
target "_files" {
  dockerfile-inline = "FROM scratch\\nCOPY . /\\n"
}
target "wheel" {
  inherits = ["_files"]
  context  = "docker/wheel"
  output   = ["type=local,dest=${OUT_DIR}/wheel"]
}
target "image" {
  inherits = ["_files"]
  context  = "docker/tree"
  output   = ["type=oci,tar=false,dest=${OUT_DIR}/image"]
}
target "image-check" {
  inherits = ["_files"]
  context  = "docker/facts"
  output   = ["type=local,dest=${OUT_DIR}/image-check"]
}
"""


@pytest.fixture
def cell() -> Cell:
    """The cell of demo-full, held to 12.1 and built from this test's targets."""
    (original,) = resolve(load(ROOT / "versions.json"), ("demo-full",)).cells
    return replace(
        original,
        requirements=parse_requirements(("12.1",)),
        targets=("wheel", "image", "image-check"),
        variables={"SOURCE_DATE_EPOCH": "0"},
    )


@pytest.fixture
def library(compile_with: Callable[..., Path]) -> Callable[[str], Path]:
    """A library with a kernel for one target."""
    source = f"// {uuid4()}\n__global__ void compute(int* p) {{ *p = 1; }}\n"

    def make(target: str) -> Path:
        number = target.replace(".", "")
        gencode = f"-gencode=arch=compute_{number},code=sm_{number}"
        return compile_with(source, f"_C_{number}.so", "-shared", "-Xcompiler=-fPIC", gencode)

    return make


@pytest.fixture
def build(
    tmp_path: Path,
    cell: Cell,
    library: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Built]:
    """Build, with a wheel and an image whose kernels are for these targets."""
    project = tmp_path / "project"
    docker = project / "docker"

    def run(*, wheel: str, image: str, completed: list[CellAudit]) -> Built:
        (docker / "wheel").mkdir(parents=True)
        with zipfile.ZipFile(docker / "wheel" / WHEEL, "w") as archive:
            archive.write(library(wheel), "component/_C.so")
            archive.writestr("kernels-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\n")
        inside = docker / "tree" / LIBRARY
        inside.parent.mkdir(parents=True)
        inside.write_bytes(library(image).read_bytes())
        facts = docker / "facts"
        bare = tmp_path / "bare"
        subprocess.run((sys.executable, "-m", "venv", "--without-pip", bare), check=True)
        python = bare / "bin" / "python"
        subprocess.run((python, PROBES, "--devices=12.1", facts), check=True)
        (project / "docker-bake.hcl").write_text(BAKE_FILE)
        (project / "versions.json").write_bytes((ROOT / "versions.json").read_bytes())
        store = tmp_path / "store"
        for rootfs in root_file_systems(cell).values():
            # This test's targets start from scratch.
            (store / rootfs.directory_name).mkdir(parents=True)
            (store / rootfs.directory_name / "rootfs.tar").touch()
        settings = BuildSettings(
            matrix=project / "versions.json",
            out=tmp_path / "out",
            host=HostSettings.from_environment(os.environ),
            messages=Messages(quiet=True),
            backend=Backend.NATIVE,
            rootfs_store=store,
        )
        monkeypatch.setattr(
            "smforge.workflow.building.making.complete",
            lambda _cell, _folder, audit: completed.append(audit),
        )
        return Builder(settings).build(cell)

    return run


@pytest.mark.engine
@pytest.mark.toolchain
@pytest.mark.usefixtures("engine")
def test_an_image_that_runs_on_its_devices_is_completed(build: Callable[..., Built]) -> None:
    completed: list[CellAudit] = []
    built = build(wheel="12.0", image="12.0", completed=completed)
    assert built.error is None
    assert built.exit_code == 0
    assert [one.image is not None for one in completed] == [True]
    report = json.loads((built.paths.final / "audit-image.json").read_bytes())
    assert report["subject"]["kind"] == "image"
    assert report["verdict"] == "pass"


@pytest.mark.engine
@pytest.mark.toolchain
@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    ("wheel", "image", "report"),
    [
        ("12.0", "9.0", "audit-image.json"),
        ("9.0", "12.0", "audit.json"),
    ],
)
def test_a_device_removed_from_one_component_stops_it_before_any_tag(
    build: Callable[..., Built], wheel: str, image: str, report: str
) -> None:
    completed: list[CellAudit] = []
    built = build(wheel=wheel, image=image, completed=completed)
    assert built.exit_code == 1
    assert completed == []
    assert not built.paths.final.exists()
    findings = json.loads((built.paths.rejected / report).read_bytes())["findings"]
    missing = next(one for one in findings if one["rule"] == "device-missing" and one["file"])
    assert missing["device"] == "12.1"
    assert missing["file"].endswith("component/_C.so")
    assert "cannot run on 12.1" in missing["message"]
    note = (built.paths.rejected / "REJECTED.txt").read_text()
    assert "component/_C.so" in note
    assert "12.1" in note


def test_an_image_that_was_not_made_is_no_success(cell: Cell, tmp_path: Path) -> None:
    (tmp_path / "image").mkdir()
    with pytest.raises(BuildFailedError, match="made no image-check"):
        audit_image(cell, tmp_path, AuditRequest(), Backend.NATIVE)


def test_a_cell_without_an_image_has_none_to_audit(cell: Cell, tmp_path: Path) -> None:
    assert audit_image(replace(cell, image=None), tmp_path, AuditRequest(), Backend.NATIVE) is None
