"""What stands against the build of a cell, without an engine."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from smforge.arch.requirement import parse_requirements
from smforge.arch.target import Target
from smforge.bake.host.settings import HostSettings
from smforge.matrix.load import load
from smforge.plan.records import Cell, PlannedComponent, PlannedExternal, PlannedImage
from smforge.plan.resolve import resolve
from smforge.preflight.cache import Cache
from smforge.workflow.plan_check import CellCheck, check_cells, check_document, check_table

ROOT = Path(__file__).parents[2]
TREE = ROOT / "tests" / "preflight" / "tree"
MLA = PlannedExternal(
    "mla", "git", "https://example.invalid/mla.git", None, "0123abc", None, None, None
)

Check = Callable[[Cell], CellCheck]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Check a cell whose vLLM is the small tree."""
    host = HostSettings(ca_bundle=None, network="default", checkout=TREE)

    def checked(cell: Cell, root: Path = ROOT) -> CellCheck:
        (found,) = check_cells((cell,), root / "versions.json", Cache(tmp_path / "cache"), host)
        return found

    return checked


@pytest.fixture
def cell() -> Cell:
    """A cell of the small vLLM that lacks nothing."""
    original = resolve(load(ROOT / "versions.json"), ("cu130-rtx",)).cells[0]
    archs = (Target.parse("12.0f"),)
    vllm = PlannedComponent("vllm", "0.0.1", ("12.0f",), archs, (), {"extensions": "_C"})
    return dataclasses.replace(
        original,
        toolkit=dataclasses.replace(original.toolkit, torch="2.10.0"),
        components=(vllm,),
        requirements=parse_requirements(["12.0"]),
        image=None,
    )


def test_a_cell_that_lacks_nothing_passes(check: Check, cell: Cell) -> None:
    found = check(cell)
    assert found.errors == ()
    assert check_table([found]) == (
        "pass  cu130-rtx linux/amd64: vllm 0.0.1 5 CUDA sources\n"
        "1 cell checked, it can be built as planned.\n"
    )
    (row,) = check_document([found])["checks"]
    assert (row["verdict"], row["errors"]) == ("pass", [])
    assert row["components"][0]["units"] == 5


def test_a_policy_that_is_not_there(check: Check, cell: Cell) -> None:
    (error,) = check(dataclasses.replace(cell, policies=("docker/gone.toml",))).errors
    assert "docker/gone.toml cannot be read" in error


def test_a_policy_of_the_cell_excuses_a_loss(check: Check, cell: Cell, tmp_path: Path) -> None:
    vllm = dataclasses.replace(
        cell.components[0], archs=("12.1a",), targets=(Target.parse("12.1a"),)
    )
    losing = dataclasses.replace(
        cell, components=(vllm,), requirements=parse_requirements(["12.1"])
    )
    assert any("csrc/fp4.cu" in error for error in check(losing).errors)
    policy = tmp_path / "policy.toml"
    policy.write_text('[[allow]]\nsource = "csrc/fp4.cu"\nreason = "No model needs it."\n')
    assert check(dataclasses.replace(losing, policies=(str(policy),))).errors == ()


def test_sources_that_nobody_pinned(check: Check, cell: Cell) -> None:
    vllm = dataclasses.replace(cell.components[0], externals=(MLA,))
    (error,) = check(dataclasses.replace(cell, components=(vllm,))).errors
    assert error.startswith("The sources of mla (0123abc) are not pinned to a commit")


def test_pins_that_differ_from_the_sources(check: Check, cell: Cell) -> None:
    toolkit = dataclasses.replace(cell.toolkit, torch="2.14.0")
    (error,) = check(dataclasses.replace(cell, toolkit=toolkit)).errors
    assert "versions.json has torch 2.14.0 for CUDA 13.0.2, and vllm 0.0.1 requires" in error


def test_an_image_needs_locks_with_the_torch_of_the_toolkit(check: Check, cell: Cell) -> None:
    image = dataclasses.replace(cell, image=PlannedImage("a/b", "1", "root"))
    (error,) = check(image).errors
    assert "locks torch 2.14.0, and the toolkit has torch 2.10.0" in error
    other = dataclasses.replace(image.toolkit, tag="cu129")
    (error,) = check(dataclasses.replace(image, toolkit=other)).errors
    assert "no lock for vllm" in error
    assert "there is no docker/image/requirements/cu129/vllm.txt" in error


def test_sources_that_cannot_be_had_are_named(cell: Cell, tmp_path: Path) -> None:
    host = HostSettings(ca_bundle=None, network="default", checkout=tmp_path)
    (found,) = check_cells((cell,), ROOT / "versions.json", Cache(tmp_path / "cache"), host)
    assert found.preflight is None
    assert "holds neither vLLM's nor FlashInfer's sources" in found.errors[0]
    assert "its sources could not be examined" in check_table([found])


@pytest.mark.network
@pytest.mark.slow
def test_every_shipped_cell_can_be_built_as_planned(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "smforge", "plan", "--check", "-o", "table"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    cells = resolve(load(ROOT / "versions.json")).cells
    assert (done.returncode, done.stdout.splitlines()[-1]) == (
        0, f"{len(cells)} cells checked, all can be built as planned.",
    )  # fmt: skip
