"""What a matrix pins, held against the sources: each difference with both sides."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from smforge.arch.target import Target
from smforge.findings import Level, Location
from smforge.matrix.load import load
from smforge.plan.records import Cell, PlannedComponent, PlannedExternal
from smforge.plan.resolve import resolve
from smforge.preflight.cache import Cache
from smforge.preflight.cell import Circumstances, preflight_cell
from smforge.preflight.pins import differences
from smforge.preflight.records import External, Preflight, Refusal, Required
from smforge.preflight.run import Question, preflight
from smforge.preflight.sources.requirements import read_required

ROOT = Path(__file__).parents[2]
COMMIT, OTHER = "1" * 40, "2" * 40
PLACE = Location("cmake/mla.cmake", 7)
MLA = PlannedExternal(
    "mla", "git", "https://example.invalid/mla.git", COMMIT, COMMIT, None, None, None
)


@pytest.fixture(scope="module")
def cell() -> Cell:
    return resolve(load(ROOT / "versions.json"), ("cu130",)).cells[0]


@pytest.fixture
def result(cache: Cache, small_tree: Path) -> Preflight:
    return preflight(Question(small_tree, "13.0", "12.0"), cache)


def component(*externals: PlannedExternal, **settings: str) -> PlannedComponent:
    target = (Target.parse("12.0"),)
    return PlannedComponent("vllm", "0.0.1", ("12.0",), target, (), settings, externals)


def said(
    cell: Cell,
    result: Preflight,
    planned: PlannedComponent,
    *,
    fetched: tuple[External, ...] = (),
    required: tuple[Required, ...] = (),
    refusal: Refusal | None = None,
) -> list[str]:
    configuration = dataclasses.replace(
        result.configuration, fetched=fetched, required=required, refusal=refusal
    )
    changed = dataclasses.replace(result, configuration=configuration)
    found = list(differences(cell, planned, changed))
    assert {one.rule for one in found} <= {"pin-differs"}
    return [one.message for one in found]


def fetches(revision: str, repository: str = "https://example.invalid/mla.git") -> External:
    return External("mla", repository, revision, PLACE)


def test_the_same_pins_say_nothing(cell: Cell, result: Preflight) -> None:
    assert said(cell, result, component(MLA), fetched=(fetches(COMMIT),)) == []
    tagged = dataclasses.replace(MLA, release="v1")
    assert said(cell, result, component(tagged), fetched=(fetches("v1"),)) == []
    assert said(cell, result, component(tagged), fetched=(fetches(COMMIT),)) == []
    plainer = fetches(COMMIT, "https://EXAMPLE.invalid/mla/")
    assert said(cell, result, component(MLA), fetched=(plainer,)) == []


@pytest.mark.parametrize("wanted", [OTHER, "v2"])
def test_another_revision_is_named_with_both_sides(
    cell: Cell, result: Preflight, wanted: str
) -> None:
    (message,) = said(cell, result, component(MLA), fetched=(fetches(wanted),))
    assert message == f"versions.json pins mla to {COMMIT}, and vllm 0.0.1 asks for {wanted}."


def test_another_tag_is_named_as_a_tag(cell: Cell, result: Preflight) -> None:
    tagged = dataclasses.replace(MLA, release="v1")
    (message,) = said(cell, result, component(tagged), fetched=(fetches("v2"),))
    assert message == "versions.json pins mla to v1, and vllm 0.0.1 asks for v2."


def test_a_stand_in_has_to_stand_for_what_the_sources_ask_for(
    cell: Cell, result: Preflight
) -> None:
    wheel = PlannedExternal("mla", "wheel", "mla.whl", "0" * 64, "mla 1", None, None, "v1")
    assert said(cell, result, component(wheel), fetched=(fetches("v1"),)) == []
    (message,) = said(cell, result, component(wheel), fetched=(fetches("v2"),))
    assert message == (
        "versions.json pins mla to v1 (mla 1 stands in for it), and vllm 0.0.1 asks for v2."
    )


def test_an_archive_without_a_tag_cannot_be_compared(cell: Cell, result: Preflight) -> None:
    archive = PlannedExternal("mla", "archive", "https://h/m.zip", "0" * 64, None, None, None, None)
    (message,) = said(cell, result, component(archive), fetched=(fetches("v2"),))
    assert "cannot be held against v2" in message


def test_the_release_that_a_file_holds_is_compared(cell: Cell, result: Preflight) -> None:
    archive = PlannedExternal(
        "mla", "archive", "mla.tar", "0" * 64, "v1", None, None, None, holds=("v1", COMMIT)
    )
    for same in ("v1", COMMIT):
        assert said(cell, result, component(archive), fetched=(fetches(same),)) == []
    for ours, other in (("v1", "v2"), (COMMIT, OTHER)):
        (message,) = said(cell, result, component(archive), fetched=(fetches(other),))
        assert message == (
            f"versions.json says that mla.tar holds mla at {ours}, and vllm 0.0.1 asks for {other}."
        )
    tagged = dataclasses.replace(archive, holds=("v1",))
    (message,) = said(cell, result, component(tagged), fetched=(fetches(COMMIT),))
    assert f"which cannot be held against {COMMIT}" in message


def test_another_repository_is_named(cell: Cell, result: Preflight) -> None:
    theirs = fetches(COMMIT, "https://example.invalid/fork/mla.git")
    (message,) = said(cell, result, component(MLA), fetched=(theirs,))
    assert "from https://example.invalid/mla.git, and vllm 0.0.1 fetches it from" in message


def test_a_project_that_one_side_does_not_have(cell: Cell, result: Preflight) -> None:
    (message,) = said(cell, result, component(MLA))
    assert message.endswith("vllm 0.0.1 fetches no project of that name.")
    (message,) = said(cell, result, component(), fetched=(fetches(COMMIT),))
    assert "versions.json pins no such project" in message
    # With named extensions the plan has only what these need.
    assert said(cell, result, component(extensions="_C"), fetched=(fetches(COMMIT),)) == []


def test_torch_and_flashinfer_are_held_against_what_is_required(
    cell: Cell, result: Preflight
) -> None:
    def requires(*rows: tuple[str, str]) -> list[str]:
        required = tuple(Required(name, specifier, PLACE) for name, specifier in rows)
        return said(cell, result, component(), required=required)

    assert requires(("torch", "==2.14.0"), ("flashinfer-python", "==0.7.2.post1")) == []
    # CMake and the requirements both name torch; one difference is one finding.
    assert requires(("torch", "==2.13.0"), ("torch", "==2.13.0")) == [
        "versions.json has torch 2.14.0 for CUDA 13.0.2, and vllm 0.0.1 requires torch==2.13.0."
    ]
    assert requires(("flashinfer-python", "==0.7.2")) == [
        "versions.json takes FlashInfer 0.7.2.post1, and vllm 0.0.1 requires "
        "flashinfer-python==0.7.2."
    ]
    assert requires(("nixl", "==0.1")) == []


def test_a_list_that_the_sources_read_otherwise_is_named(cell: Cell, result: Preflight) -> None:
    planned = dataclasses.replace(component(), targets=(Target.parse("12.0f"),))
    (message,) = said(cell, result, planned)
    assert message.startswith("The plan reads the list 12.0 as 12.0f, and vllm 0.0.1 reads it as")


def test_sources_that_stop_the_build_are_not_compared(cell: Cell, result: Preflight) -> None:
    refusal = Refusal("no", None, by="sources")
    assert said(cell, result, component(MLA), refusal=refusal) == []


def test_requirements_are_read_with_their_places(tree: Path) -> None:
    (tree / "requirements").mkdir()
    (tree / "requirements" / "cuda.txt").write_text(
        "-r common.txt\n--extra-index-url https://example.invalid\ntorch == 2.9.0  # with CUDA\n"
        'FlashInfer_python==0.7.1; platform_system == "Linux"\ntorchvision==1\nnumpy\n'
    )
    assert [
        (one.distribution, one.specifier, str(one.location)) for one in read_required(tree)
    ] == [
        ("torch", "==2.10.0", "CMakeLists.txt:7"),
        ("torch", "==2.9.0", "requirements/cuda.txt:3"),
        ("flashinfer-python", "==0.7.1", "requirements/cuda.txt:4"),
    ]


def test_differences_of_a_checkout_fail_its_preflight(
    cell: Cell, cache: Cache, small_tree: Path
) -> None:
    circumstances = Circumstances(ROOT, cache, checkouts={"vllm": small_tree})
    found = preflight_cell(cell, (component(MLA),), circumstances)
    (one,) = found.components
    errors = {each.message for each in one.result.findings if each.rule == "pin-differs"}
    assert errors == {
        "versions.json has torch 2.14.0 for CUDA 13.0.2, and vllm 0.0.1 requires torch==2.10.0.",
        f"versions.json pins mla to {COMMIT}, and vllm 0.0.1 asks for 0123abc.",
    }
    assert all(each.level is Level.ERROR for each in one.result.findings if each.message in errors)


@pytest.mark.network
@pytest.mark.slow
def test_the_matrix_pins_what_its_vllm_asks_for_and_nothing_of_another(
    cell: Cell, tmp_path: Path, cache: Cache
) -> None:
    """docs/vllm.md shows the differences of 0.32.0."""
    circumstances = Circumstances(ROOT, cache)
    (vllm,) = (one for one in cell.components if one.name == "vllm")

    def differing(planned: PlannedComponent, variables: dict[str, str]) -> list[str]:
        changed = dataclasses.replace(cell, variables=variables)
        (one,) = preflight_cell(changed, (planned,), circumstances).components
        return [each.message for each in one.result.findings if each.rule == "pin-differs"]

    assert differing(vllm, dict(cell.variables)) == []
    other = dataclasses.replace(vllm, version="0.32.0")
    found = differing(other, {})
    assert len(found) == 5
    guide = (ROOT / "docs" / "vllm.md").read_text()
    assert all(message in guide for message in found)
