"""Preflight of a wheel that is taken as published: real code of nvcc, read from the wheel."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from smforge.bake.host.settings import HostSettings
from smforge.bake.inputs.published import wheel_path
from smforge.errors import PredictedLossError
from smforge.matrix.load import load
from smforge.plan.records import Cell, PublishedWheel
from smforge.plan.resolve import resolve
from smforge.workflow.building.look_ahead import expectations_for, predict
from smforge.workflow.building.messages import Messages
from smforge.workflow.building.results import LookAhead
from smforge.workflow.building.settings import BuildSettings
from smforge.workflow.published import preflight_published

ROOT = Path(__file__).parents[2]
NAME = "vllm-0.33.0-cp38-abi3-manylinux_2_28_x86_64.whl"
KERNEL = "__global__ void compute(int* p) { *p = 1; }\nvoid run(int* p) { compute<<<1, 1>>>(p); }\n"
Publish = Callable[..., tuple[Cell, Path]]


@pytest.fixture
def settings(tmp_path: Path) -> BuildSettings:
    """The settings of a build that keeps wheels of its own."""
    return BuildSettings(
        matrix=ROOT / "versions.json",
        out=tmp_path / "out",
        host=HostSettings(ca_bundle=None, network="default"),
        messages=Messages(quiet=True),
        look_ahead=LookAhead.STOP,
        published_store=tmp_path / "store",
    )


@pytest.fixture
def publish(tmp_path: Path, compile_with: Callable[..., Path], settings: BuildSettings) -> Publish:
    """Publish a wheel with a kernel for these devices, and plan a cell for 12.1 that takes it."""

    def make(*gencode: str, cuda: str = "13.0.2") -> tuple[Cell, Path]:
        flags = [f"-gencode={one}" for one in gencode]
        library = compile_with(KERNEL, "_C.so", "-shared", "-Xcompiler=-fPIC", *flags)
        wheel = tmp_path / NAME
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.write(library, "vllm/_C.abi3.so")
            archive.writestr("vllm-0.33.0.dist-info/METADATA", "Name: vllm\nVersion: 0.33.0\n")
        (cell,) = resolve(load(ROOT / "versions.json"), ("demo-full",)).cells
        vllm = cell.component("vllm")
        assert vllm is not None
        assert vllm.published is not None
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        published = PublishedWheel(NAME, digest, vllm.published.keep, repair=True)
        kept = wheel_path(published, settings.published_store)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(wheel.read_bytes())
        toolkit = replace(cell.toolkit, cuda=cuda)
        component = replace(vllm, published=published)
        return replace(cell, components=(component,), toolkit=toolkit), wheel

    return make


def test_a_wheel_that_has_everything(publish: Publish, settings: BuildSettings) -> None:
    cell, _ = publish("arch=compute_120,code=sm_120", "arch=compute_90,code=sm_90")
    found = predict(settings, cell)
    (one,) = found.published
    assert (one.problems, found.error) == ((), None)
    assert one.content == "1 kernels native and 0 as PTX on 12.1"
    (recorded,) = found.record.components
    assert (recorded.component, recorded.verdict, recorded.findings) == ("vllm", "pass", 0)
    assert json.loads(found.reports[recorded.report])["verdict"] == "pass"
    assert found.record.verdict == "pass"
    # The report is an audit's: nothing is compiled that the build could be compared with.
    assert expectations_for(found, settings.out, []) == ()


def test_code_that_a_device_gets_as_ptx_is_no_loss(
    publish: Publish, settings: BuildSettings
) -> None:
    cell, _ = publish("arch=compute_90,code=[sm_90,compute_90]")
    (one,) = predict(settings, cell).published
    assert one.problems == ()
    assert one.content == "0 kernels native and 1 as PTX on 12.1"


def test_a_device_without_code_stops_the_build(publish: Publish, settings: BuildSettings) -> None:
    cell, _ = publish("arch=compute_90,code=sm_90")
    found = predict(settings, cell)
    assert isinstance(found.error, PredictedLossError)
    assert found.error.exit_code == 1
    said = "\n".join(found.error.lines)
    assert "vllm 0.33.0 as published: device-missing: " in said
    assert 'Build vllm from its sources ("from": "source" in versions.json)' in said
    assert "--preflight record" not in said
    assert (found.record.verdict, found.record.overridden) == ("fail", False)


def test_a_wheel_of_another_cuda_is_refused(publish: Publish) -> None:
    cell, wheel = publish("arch=compute_120,code=sm_120", cuda="12.9.1")
    (one,) = preflight_published(cell, {"vllm": wheel})
    assert len(one.problems) == 1
    assert one.problems[0].startswith("vllm/_C.abi3.so is compiled with CUDA 13.")
    assert one.problems[0].endswith("and the variant has CUDA 12.9.1.")
