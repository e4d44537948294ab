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
from smforge.bake.externals import ensure_externals
from smforge.bake.host import HostSettings
from smforge.bake.origin import Origin
from smforge.bake.progress import SilentProgress
from smforge.errors import LossForeseenError
from smforge.matrix.load import load
from smforge.plan.records import Cell, PlannedComponent, PlannedExternal
from smforge.plan.resolve import resolve
from smforge.preflight.records import Unit
from smforge.verdict.reading import Backend
from smforge.workflow.build import Workshop
from smforge.workflow.look_ahead import foresee
from smforge.workflow.results import Audited, Foreseen, Lookahead
from smforge.workflow.stages import audit_wheels, request_of_build

ROOT = Path(__file__).parents[2]
TREE = ROOT / "tests" / "preflight" / "tree"
EXTENSION = {"extensions": "_C"}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """A workshop whose cache knows the small vLLM."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    return Workshop(
        matrix=ROOT / "versions.json",
        out=tmp_path / "out",
        host=HostSettings(ca_bundle=None, network="default"),
        audit=lambda *_: pytest.fail("nothing is built here"),
        display=lambda _cell: SilentProgress(),
        lookahead=Lookahead.STOP,
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
    shop: Workshop, small: Cell
) -> None:
    foreseen = foresee(shop, _losing(small))
    assert isinstance(foreseen.error, LossForeseenError)
    assert foreseen.error.exit_code == 1
    lost, last = foreseen.error.lines
    for said in ("vllm 0.0.1", "csrc/fp4.cu", "12.1a", "CMakeLists.txt:", "Ask for 12.0f in place"):
        assert said in lost
    assert "Nothing was built" in last
    assert "--preflight record" in last
    assert foreseen.record.verdict == "fail"
    assert not foreseen.record.overridden


def test_a_loss_can_be_recorded_instead(shop: Workshop, small: Cell) -> None:
    shop = dataclasses.replace(shop, lookahead=Lookahead.RECORD)
    foreseen = foresee(shop, _losing(small))
    assert foreseen.error is None
    assert (foreseen.record.verdict, foreseen.record.overridden) == ("fail", True)


def test_where_nothing_can_be_examined_the_record_says_so(shop: Workshop, small: Cell) -> None:
    prebuilt = PlannedComponent("nixl", "1", (), (), (), {})
    foreseen = foresee(shop, dataclasses.replace(small, components=(prebuilt,)))
    assert (foreseen.error, foreseen.record.verdict) == (None, "nothing")
    assert foreseen.record.components == ()


def test_a_policy_allows_a_loss(shop: Workshop, small: Cell, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(
        '[[allow]]\nsource = "csrc/fp4.cu"\ndevices = ["12.1"]\nreason = "No model needs it."\n'
    )
    foreseen = foresee(dataclasses.replace(shop, policies=(policy,)), _losing(small))
    assert foreseen.error is None
    report = json.loads(foreseen.reports["preflight-vllm.json"])
    assert "No model needs it." in {one["allowed"] for one in report["findings"]}


def test_the_record_names_the_reports_with_their_digests(shop: Workshop, small: Cell) -> None:
    foreseen = foresee(shop, small)
    assert (foreseen.error, foreseen.record.verdict) == (None, "pass")
    (component,) = foreseen.record.components
    text = foreseen.reports[component.report]
    assert component.report_sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert component.source_sha256 == small.variables["VLLM_SHA256"]
    assert {one["build"] for one in json.loads(text)["units"]} == {"vllm"}


def test_the_projects_that_were_fetched_are_examined(
    shop: Workshop, small: Cell, tmp_path: Path
) -> None:
    wheel = tmp_path / "mla-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("mla/csrc/mla.cu", "")
        archive.writestr("mla/python/interface.py", "")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    mla = PlannedExternal(
        "mla", "wheel", wheel.name, digest, None, "mla", None, None, extensions=("_mla_C",)
    )
    component = dataclasses.replace(
        _vllm("12.0"), settings={"extensions": "_mla_C"}, externals=(mla,)
    )
    cell = dataclasses.replace(
        small, components=(component,), requirements=parse_requirements(["12.0"])
    )
    shop = dataclasses.replace(shop, sources_store=tmp_path / "store")
    not_there = json.loads(foresee(shop, cell).reports["preflight-vllm.json"])
    assert [one["name"] for one in not_there["not_examined"]] == ["mla"]
    ensure_externals((mla,), shop.sources_store, Origin(tmp_path))
    examined = json.loads(foresee(shop, cell).reports["preflight-vllm.json"])
    assert examined["not_examined"] == []
    assert [one["source"] for one in examined["units"]] == [".deps/mla-src/csrc/mla.cu"]


# --- Against what nvcc embeds --------------------------------------------------------------------


@pytest.fixture
def foreseen(shop: Workshop, small: Cell) -> Foreseen:
    return foresee(shop, small)


@pytest.fixture
def objects(foreseen: Foreseen, nvcc: Path, tmp_path: Path) -> dict[str, Path]:
    """Every unit that was foreseen, compiled as foreseen."""
    (component,) = foreseen.preflight.components
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
    cell: Cell, foreseen: Foreseen, objects: Sequence[Path], nvcc: Path, scratch: Path
) -> Audited:
    """Audit a wheel of a library of objects, where the bake target would have put it."""
    library = scratch / "_C.abi3.so"
    _run(nvcc, "-shared", *objects, "-o", library)
    wheel = scratch / "staging" / "vllm" / "vllm-0.0.1-cp38-abi3-linux_x86_64.whl"
    wheel.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(library, "vllm/_C.abi3.so")
        archive.writestr("vllm-0.0.1.dist-info/WHEEL", "Wheel-Version: 1.0\n")
    terms = request_of_build(cell, foreseen, scratch / "staging", [wheel], ())
    return audit_wheels(cell, [wheel], terms, Backend.NATIVE)


def _unexpected(audited: Audited) -> list[tuple[str, str]]:
    findings = json.loads(audited.report)["findings"]
    return [
        (one["level"], one["message"]) for one in findings if one["rule"] == "expected-not-embedded"
    ]


@pytest.mark.toolchain
@pytest.mark.slow
def test_what_was_foreseen_is_what_is_embedded_and_a_dropped_unit_is_found(
    small: Cell, foreseen: Foreseen, objects: dict[str, Path], nvcc: Path, tmp_path: Path
) -> None:
    assert set(objects) >= {"csrc/common.cu", "csrc/fp4.cu", "csrc/forgotten.cu"}
    whole = _audit(small, foreseen, list(objects.values()), nvcc, tmp_path)
    assert (whole.verdict, _unexpected(whole)) == ("pass", [])

    rest = [made for source, made in objects.items() if source != "csrc/fp4.cu"]
    dropped = _audit(small, foreseen, rest, nvcc, tmp_path)
    assert dropped.verdict == "fail"
    ((level, message),) = _unexpected(dropped)
    assert level == "error"
    assert "csrc/fp4.cu" in message
    assert "12.0f" in message

    (component,) = foreseen.preflight.components
    fp4 = next(one for one in component.result.builds[0].units if one.source == "csrc/fp4.cu")
    more = [*fp4.gencode, "arch=compute_90a,code=sm_90a"]
    added = _audit(small, foreseen, [*rest, _compile(nvcc, fp4, more, tmp_path)], nvcc, tmp_path)
    ((level, message),) = _unexpected(added)
    assert level == "warning"
    assert "csrc/fp4.cu" in message
    assert "9.0a, which was not predicted" in message


@pytest.mark.toolchain
def test_a_wheel_that_was_foreseen_and_is_not_there_fails(
    small: Cell, foreseen: Foreseen, tmp_path: Path
) -> None:
    (expectation,) = request_of_build(small, foreseen, tmp_path, [], ()).expectations
    assert expectation.build == "vllm"
    assert not expectation.is_about("anything.whl/vllm/_C.abi3.so")
