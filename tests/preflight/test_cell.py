"""Preflight of what a variant builds: pinned sources, one build per bake target, the selection."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from smforge.arch.requirement import parse_requirements
from smforge.arch.target import Target
from smforge.findings import Outcome
from smforge.matrix.load import load
from smforge.plan.records import Cell, PlannedComponent
from smforge.plan.resolve import resolve
from smforge.preflight.cache import Cache
from smforge.preflight.cell import (
    CellPreflight,
    Circumstances,
    examinable,
    preflight_cell,
    with_collapses,
)
from smforge.preflight.selection import SELECTIONS

ROOT = Path(__file__).parents[2]
TREES = {
    "vllm": ROOT / "tests/preflight/tree",
    "flashinfer": ROOT / "tests/preflight/flashinfer_tree",
}
SDISTS = {"vllm": "vllm-0.0.1", "flashinfer": "flashinfer_python-0.0.1"}

MakeCell = Callable[..., Cell]
Ask = Callable[[Cell], CellPreflight]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory with selections in FlashInfer's place."""
    file = tmp_path / "checkout" / SELECTIONS
    file.parent.mkdir(parents=True)
    table = {"norms": ["norm_*"], "all": ["*"], "gone": ["norm_*", "attention"]}
    file.write_text(json.dumps(table))
    return tmp_path / "checkout"


@pytest.fixture
def cell(cache: Cache, tmp_path: Path) -> MakeCell:
    """A cell of small sources, which lie where an earlier run would have put them."""
    original = resolve(load(ROOT / "versions.json"), ("demo",)).cells[0]

    def make(require: str, **components: tuple[str, dict[str, str]]) -> Cell:
        variables = {}
        planned = []
        for name, (archs, settings) in components.items():
            digest = _pin(name, cache, tmp_path)
            variables[f"{name.upper()}_SHA256"] = digest
            targets = tuple(Target.parse(one) for one in archs.split())
            planned.append(
                PlannedComponent(name, "0.0.1", tuple(archs.split()), targets, (), settings)
            )
        return dataclasses.replace(
            original,
            # What the small vLLM asks for.
            toolkit=dataclasses.replace(original.toolkit, torch="2.10.0"),
            components=tuple(planned),
            requirements=parse_requirements([require]),
            variables=variables,
        )

    return make


def _pin(name: str, cache: Cache, scratch: Path) -> str:
    archive = scratch / f"{SDISTS[name]}.tar.gz"
    if not archive.exists():
        with tarfile.open(archive, "w:gz") as members:
            members.add(TREES[name], SDISTS[name])
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    place = cache.directory / "sdists" / digest
    place.mkdir(parents=True, exist_ok=True)
    shutil.copy(archive, place)
    return digest


@pytest.fixture
def ask(cache: Cache, root: Path) -> Ask:
    return lambda cell: preflight_cell(cell, examinable(cell), Circumstances(root, cache))


def _units(found: CellPreflight) -> dict[str, set[str]]:
    """Per build the modules or sources with their targets."""
    (one,) = found.components
    return {
        part.build: {f"{unit.extension} {' '.join(map(str, unit.targets))}" for unit in part.units}
        for part in one.result.builds
    }


def test_each_provider_is_configured_for_its_own_target(cell: MakeCell, ask: Ask) -> None:
    found = ask(cell("12.0 12.1", flashinfer=("12.0f 12.1a", {"selection": "all"})))
    assert _units(found) == {
        "flashinfer-sm120f": {"norm_1 12.0f", "norm_2 12.0f", "fp4_120f 12.0f"},
        "flashinfer-sm121a": {"norm_1 12.1a", "norm_2 12.1a", "fp4_121a 12.1a"},
    }
    # FlashInfer finds fp4_120f in the other provider, so that 12.1 lacks nothing.
    assert found.outcome is Outcome.PASS


def test_a_module_that_no_provider_has_is_lost(cell: MakeCell, ask: Ask) -> None:
    found = ask(cell("12.1", flashinfer=("12.1a", {"selection": "all"})))
    assert found.outcome is Outcome.FAIL
    (one,) = found.components
    lost = [finding for finding in one.result.findings if finding.rule == "source-lost"]
    assert [finding.sources for finding in lost] == [("fp4_120f",)]


def test_a_module_that_is_not_selected_cannot_be_lost(cell: MakeCell, ask: Ask) -> None:
    found = ask(cell("12.1", flashinfer=("12.1a", {"selection": "norms"})))
    assert _units(found) == {"flashinfer-sm121a": {"norm_1 12.1a", "norm_2 12.1a"}}
    assert found.outcome is Outcome.PASS


def test_a_selected_module_that_is_not_generated_fails(cell: MakeCell, ask: Ask) -> None:
    found = ask(cell("12.1", flashinfer=("12.1a", {"selection": "gone"})))
    (one,) = found.components
    assert [finding.rule for finding in one.result.findings] == ["selection-unmatched"]


def test_a_loss_on_a_device_that_is_not_required_does_not_fail(cell: MakeCell, ask: Ask) -> None:
    def outcome(require: str) -> Outcome:
        return ask(cell(require, vllm=("9.0a 12.1a", {"extensions": "_C"}))).outcome

    assert outcome("9.0 12.1") is Outcome.FAIL
    assert outcome("9.0") is Outcome.PASS


def test_a_family_that_leaves_out_a_required_device_fails(cell: MakeCell, ask: Ask) -> None:
    """12.0f alone is asked for; the module of 12.1 itself is not among what it gets."""

    def outcome(require: str) -> Outcome:
        return ask(cell(require, flashinfer=("12.0f", {"selection": "all"}))).outcome

    assert outcome("12.0") is Outcome.PASS
    assert outcome("12.0 12.1") is Outcome.FAIL


def test_the_extensions_of_a_variant_are_those_that_count(cell: MakeCell, ask: Ask) -> None:
    found = ask(cell("12.0", vllm=("12.0f", {"extensions": "_C"})))
    assert {unit.partition(" ")[0] for unit in _units(found)["vllm"]} == {"_C"}
    found = ask(cell("12.0", vllm=("12.0f", {"extensions": "_moe_C"})))
    (one,) = found.components
    assert "selection-unmatched" in {finding.rule for finding in one.result.findings}


def test_a_selection_of_host_code_alone_has_no_devices_to_judge(
    cell: MakeCell, ask: Ask, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tree / "CMakeLists.txt").open("a") as description:
        description.write("\nPython_add_library(spin MODULE csrc/bindings.cpp)\n")
    monkeypatch.setitem(TREES, "vllm", tree)
    found = ask(cell("12.0", vllm=("12.0f", {"extensions": "spin"})))
    (one,) = found.components
    assert found.outcome is Outcome.PASS
    assert one.result.configuration.host_only == ("spin",)
    assert "arch-dropped" not in {finding.rule for finding in one.result.findings}


def test_what_the_sources_collapse_is_required_as_its_device(
    cell: MakeCell, ask: Ask, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As vLLM 0.33 compiles 12.1a as 12.0f."""
    description = tree / "CMakeLists.txt"
    old = "take_archs(CUDA_ARCHS)\n"
    new = f'{old}list(TRANSFORM CUDA_ARCHS REPLACE "^12.1a$" "12.0f")\n'
    description.write_text(description.read_text().replace(old, new))
    monkeypatch.setitem(TREES, "vllm", tree)
    asked = {"vllm": ("12.1a", {"extensions": "_C"})}
    found = ask(cell("12.1 12.1a", **asked))
    (one,) = found.components
    (collapse,) = one.result.collapsed
    assert (str(collapse.target), [str(to) for to in collapse.compiled_as]) == ("12.1a", ["12.0f"])
    assert str(found.requirements) == "12.1"
    assert "target-missing" not in {finding.rule for finding in one.result.findings}
    shown = with_collapses(found)
    assert shown.dropped == ()
    (rewritten,) = shown.rewritten
    assert (rewritten.component, rewritten.asked, rewritten.by) == ("vllm", "12.1a", "sources")
    assert rewritten.compiled_as == collapse.compiled_as
    both = ask(cell("12.1 12.1a", **asked, flashinfer=("12.1a", {"selection": "norms"})))
    assert str(both.requirements) == "12.1 12.1a"


def test_required_ptx_that_no_component_compiles_fails(cell: MakeCell, ask: Ask) -> None:
    """The machine code of 12.0 in its place is not what the audit looks for."""
    one = cell("12.0 compute_120", vllm=("12.0", {"extensions": "_C"}))
    (component,) = one.components
    with_ptx = dataclasses.replace(component, archs=("12.0+PTX",), ptx=component.targets)
    found = ask(dataclasses.replace(one, components=(with_ptx,)))
    rules = {finding.rule for finding in found.components[0].result.findings}
    assert found.outcome is Outcome.FAIL
    assert "target-missing" in rules
    assert str(found.requirements) == "12.0 compute_120"


def test_a_checkout_is_examined_in_place_of_the_release(
    cell: MakeCell, cache: Cache, root: Path, tree: Path
) -> None:
    description = tree / "CMakeLists.txt"
    text = description.read_text().replace("csrc/common.cu", "csrc/renamed.cu")
    description.write_text(text)
    (tree / "csrc" / "renamed.cu").touch()
    one = cell("12.0", vllm=("12.0f", {"extensions": "_C"}))
    found = preflight_cell(one, examinable(one), Circumstances(root, cache, {"vllm": tree}))
    (part,) = found.components[0].result.builds
    sources = {unit.source for unit in part.units}
    assert "csrc/renamed.cu" in sources
    assert "csrc/common.cu" not in sources


def test_components_that_are_not_compiled_are_not_examined(cell: MakeCell, ask: Ask) -> None:
    one = cell("12.0", vllm=("12.0f", {}))
    prebuilt = PlannedComponent("nixl", "1", (), (), (), {})
    lmcache = PlannedComponent("lmcache", "1", ("12.0",), (Target.parse("12.0"),), (), {})
    found = ask(dataclasses.replace(one, components=(*one.components, prebuilt, lmcache)))
    assert [each.component.name for each in found.components] == ["vllm"]
    assert ask(dataclasses.replace(one, components=(prebuilt,))).outcome is Outcome.PASS
