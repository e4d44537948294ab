"""What a build makes of preflight: the real sources' list, real code of nvcc, the audit of both."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from smforge.arch.requirement import parse_requirements
from smforge.arch.target import Target
from smforge.bake.host.settings import HostSettings
from smforge.bake.inputs.externals import ensure_externals
from smforge.bake.inputs.origin import Origin
from smforge.errors import PredictedLossError
from smforge.matrix.load import load
from smforge.plan.records import Cell, PlannedComponent, PlannedExternal
from smforge.plan.resolve import resolve
from smforge.preflight.records import Unit
from smforge.report.build import report_of
from smforge.report.model import Report
from smforge.verdict.reading import Backend
from smforge.workflow.building.auditing import audit_wheels, request_of_build
from smforge.workflow.building.look_ahead import predict
from smforge.workflow.building.messages import Messages
from smforge.workflow.building.results import LookAhead, Predicted
from smforge.workflow.building.settings import BuildSettings

ROOT = Path(__file__).parents[2]
TREE = ROOT / "tests" / "preflight" / "tree"
EXTENSION = {"extensions": "_C"}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BuildSettings:
    """The settings of a build whose cache knows the small vLLM."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    return BuildSettings(
        matrix=ROOT / "versions.json",
        out=tmp_path / "out",
        host=HostSettings(ca_bundle=None, network="default"),
        messages=Messages(quiet=True),
        look_ahead=LookAhead.STOP,
    )


@pytest.fixture
def small(tmp_path: Path) -> Cell:
    """A cell of the small vLLM for 12.0f, which loses nothing of the extension _C."""
    archive = tmp_path / "vllm-0.0.1.tar.gz"
    with tarfile.open(archive, "w:gz") as members:
        members.add(TREE, "vllm-0.0.1")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    place = tmp_path / "xdg" / "smforge" / "preflight" / "sdists" / digest
    place.mkdir(parents=True)
    shutil.copy(archive, place)
    original = resolve(load(ROOT / "versions.json"), ("demo",)).cells[0]
    return dataclasses.replace(
        original,
        # What the small vLLM asks for.
        toolkit=dataclasses.replace(original.toolkit, torch="2.10.0"),
        components=(_vllm("12.0f"),),
        requirements=parse_requirements(["12.0", "12.0f"]),
        variables={"VLLM_SHA256": digest},
    )


def _vllm(archs: str) -> PlannedComponent:
    targets = tuple(map(Target.parse, archs.split()))
    return PlannedComponent("vllm", "0.0.1", tuple(archs.split()), targets, (), EXTENSION)


def _losing(cell: Cell) -> Cell:
    """The guard of the small vLLM's FP4 forgot 12.1a."""
    return dataclasses.replace(
        cell, components=(_vllm("12.1a"),), requirements=parse_requirements(["12.1"])
    )


def test_a_loss_on_a_required_device_stops_with_component_source_target_and_remedy(
    settings: BuildSettings, small: Cell
) -> None:
    predicted = predict(settings, _losing(small))
    assert isinstance(predicted.error, PredictedLossError)
    assert predicted.error.exit_code == 1
    lost, last = predicted.error.lines
    for said in ("vllm 0.0.1", "csrc/fp4.cu", "12.1a", "CMakeLists.txt:", "Ask for 12.0f in place"):
        assert said in lost
    assert "Nothing was built" in last
    assert "--preflight record" in last
    assert predicted.record.verdict == "fail"
    assert not predicted.record.overridden


def test_a_loss_can_be_recorded_instead(settings: BuildSettings, small: Cell) -> None:
    settings = dataclasses.replace(settings, look_ahead=LookAhead.RECORD)
    predicted = predict(settings, _losing(small))
    assert predicted.error is None
    assert (predicted.record.verdict, predicted.record.overridden) == ("fail", True)


def test_where_nothing_can_be_examined_the_record_says_so(
    settings: BuildSettings, small: Cell
) -> None:
    prebuilt = PlannedComponent("nixl", "1", (), (), (), {})
    predicted = predict(settings, dataclasses.replace(small, components=(prebuilt,)))
    assert (predicted.error, predicted.record.verdict) == (None, "nothing")
    assert predicted.record.components == ()


def test_a_policy_allows_a_loss(settings: BuildSettings, small: Cell, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(
        '[[allow]]\nsource = "csrc/fp4.cu"\ndevices = ["12.1"]\nreason = "No model needs it."\n'
    )
    predicted = predict(dataclasses.replace(settings, policies=(policy,)), _losing(small))
    assert predicted.error is None
    report = json.loads(predicted.reports["preflight-vllm.json"])
    assert "No model needs it." in {one["allowed"] for one in report["findings"]}


def test_the_record_names_the_reports_with_their_digests(
    settings: BuildSettings, small: Cell
) -> None:
    predicted = predict(settings, small)
    assert (predicted.error, predicted.record.verdict) == (None, "pass")
    (component,) = predicted.record.components
    text = predicted.reports[component.report]
    assert component.report_sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert component.source_sha256 == small.variables["VLLM_SHA256"]
    assert {one["build"] for one in json.loads(text)["units"]} == {"vllm"}


def test_the_projects_that_were_fetched_are_examined(
    settings: BuildSettings, small: Cell, tmp_path: Path
) -> None:
    wheel = tmp_path / "mla-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("mla/csrc/mla.cu", "")
        archive.writestr("mla/python/interface.py", "")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    mla = PlannedExternal(
        "mla", "wheel", wheel.name, digest, None, "mla", None, "0123abc", ("_mla_C",)
    )
    component = dataclasses.replace(
        _vllm("12.0"), settings={"extensions": "_mla_C"}, externals=(mla,)
    )
    cell = dataclasses.replace(
        small, components=(component,), requirements=parse_requirements(["12.0"])
    )
    settings = dataclasses.replace(settings, sources_store=tmp_path / "store")
    not_there = json.loads(predict(settings, cell).reports["preflight-vllm.json"])
    assert [one["name"] for one in not_there["not_examined"]] == ["mla"]
    ensure_externals((mla,), settings.sources_store, Origin(tmp_path))
    examined = json.loads(predict(settings, cell).reports["preflight-vllm.json"])
    assert examined["not_examined"] == []
    assert [one["source"] for one in examined["units"]] == [".deps/mla-src/csrc/mla.cu"]
    (note,) = (one for one in examined["findings"] if one["rule"] == "external-differs")
    assert note["level"] == "note"
    assert note["message"].endswith("which stands in for 0123abc.")


# --- Against what nvcc embeds --------------------------------------------------------------------


@pytest.fixture
def predicted(settings: BuildSettings, small: Cell) -> Predicted:
    return predict(settings, small)


@pytest.fixture
def objects(predicted: Predicted, nvcc: Path, tmp_path: Path) -> dict[str, Path]:
    """Every unit that was predicted, compiled as predicted."""
    (component,) = predicted.preflight.components
    (build,) = component.result.builds
    return {unit.source: _compile(nvcc, unit, unit.gencode, tmp_path) for unit in build.units}


def _compile(nvcc: Path, unit: Unit, gencode: Iterable[str], scratch: Path) -> Path:
    source = scratch / Path(unit.source).name
    name = source.stem
    source.write_text(
        f"__global__ void {name}(int *out) {{ *out = 1; }}\n"
        f"void start_{name}(int *out) {{ {name}<<<1, 1>>>(out); }}\n"
    )
    made = source.with_suffix(".o")
    flags = [f"-gencode={one}" for one in gencode]
    _run(nvcc, *flags, "-Xcompiler=-fPIC", "-c", source, "-o", made)
    return made


def _run(*words: str | Path) -> None:
    subprocess.run([str(word) for word in words], check=True, capture_output=True)


def _audit(
    cell: Cell, predicted: Predicted, objects: Sequence[Path], nvcc: Path, scratch: Path
) -> Report:
    """Audit a wheel of a library of objects, where the bake target would have put it."""
    library = scratch / "_C.abi3.so"
    _run(nvcc, "-shared", *objects, "-o", library)
    wheel = scratch / "staging" / "vllm" / "vllm-0.0.1-cp38-abi3-linux_x86_64.whl"
    wheel.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(library, "vllm/_C.abi3.so")
        archive.writestr("vllm-0.0.1.dist-info/WHEEL", "Wheel-Version: 1.0\n")
    terms = request_of_build(cell, predicted, scratch / "staging", [wheel], ())
    return report_of(audit_wheels(cell, [wheel], terms, Backend.NATIVE))


def _unexpected(audited: Report) -> list[tuple[str, str]]:
    findings = audited.findings
    return [(one.level, one.message) for one in findings if one.rule == "expected-not-embedded"]


@pytest.mark.toolchain
@pytest.mark.slow
def test_what_was_foreseen_is_what_is_embedded_and_a_dropped_unit_is_found(
    small: Cell, predicted: Predicted, objects: dict[str, Path], nvcc: Path, tmp_path: Path
) -> None:
    assert set(objects) >= {"csrc/common.cu", "csrc/fp4.cu", "csrc/forgotten.cu"}
    whole = _audit(small, predicted, list(objects.values()), nvcc, tmp_path)
    assert (whole.verdict, _unexpected(whole)) == ("pass", [])

    rest = [made for source, made in objects.items() if source != "csrc/fp4.cu"]
    dropped = _audit(small, predicted, rest, nvcc, tmp_path)
    assert dropped.verdict == "fail"
    ((level, message),) = _unexpected(dropped)
    assert level == "error"
    assert "csrc/fp4.cu" in message
    assert "12.0f" in message

    (component,) = predicted.preflight.components
    fp4 = next(one for one in component.result.builds[0].units if one.source == "csrc/fp4.cu")
    more = [*fp4.gencode, "arch=compute_90a,code=sm_90a"]
    added = _audit(small, predicted, [*rest, _compile(nvcc, fp4, more, tmp_path)], nvcc, tmp_path)
    ((level, message),) = _unexpected(added)
    assert level == "warning"
    assert "csrc/fp4.cu" in message
    assert "9.0a, which was not predicted" in message


@pytest.mark.toolchain
def test_a_wheel_that_was_foreseen_and_is_not_there_fails(
    small: Cell, predicted: Predicted, tmp_path: Path
) -> None:
    (expectation,) = request_of_build(small, predicted, tmp_path, [], ()).expectations
    assert expectation.build == "vllm"
    assert not expectation.is_about("anything.whl/vllm/_C.abi3.so")
