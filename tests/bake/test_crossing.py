"""Where a cell is compiled, when the builder's nodes have its CPU and when they do not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from smforge.bake.host.crossing import Crossing, crossing_for, host_platform
from smforge.bake.host.other_platforms import cannot_build, other_platforms
from smforge.matrix.load import load
from smforge.plan.records import Cell
from smforge.plan.resolve import resolve

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def cells() -> dict[tuple[str, str], Cell]:
    plan = resolve(load(ROOT / "versions.json"))
    return {(cell.variant, cell.platform): cell for cell in plan.cells}


def test_a_node_of_the_cells_own_cpu_compiles_natively(
    cells: dict[tuple[str, str], Cell],
) -> None:
    cell = replace(cells["demo", "linux/amd64"], platform="linux/arm64")
    assert crossing_for(cell, ("linux/amd64", "linux/arm64")) is None


def test_flashinfer_is_compiled_for_arm_on_an_x86_node(
    cells: dict[tuple[str, str], Cell],
) -> None:
    cell = replace(cells["demo", "linux/amd64"], platform="linux/arm64")
    assert crossing_for(cell, ("linux/amd64",)) == Crossing("linux/amd64", "aarch64")


def test_a_component_that_needs_its_own_cpu_is_left_to_the_emulator(
    cells: dict[tuple[str, str], Cell],
) -> None:
    assert crossing_for(cells["cu130-thor", "linux/arm64"], ("linux/amd64",)) is None


def test_a_builder_that_names_no_platform_decides_nothing(
    cells: dict[tuple[str, str], Cell],
) -> None:
    assert crossing_for(cells["demo", "linux/amd64"], ()) is None


def test_this_host_is_named_as_docker_names_it() -> None:
    assert host_platform() in {"linux/amd64", "linux/arm64"}


def test_what_a_builder_without_an_arm_node_lacks(cells: dict[tuple[str, str], Cell]) -> None:
    spark = cells["cu130-spark", "linux/arm64"]
    (found,) = other_platforms([spark], ["linux/amd64"], ["linux/amd64"])
    assert (found.bound, found.images, found.complete) == ((), ("cu130-spark",), False)
    assert "linux/arm64: no node and no emulator" in found.text
    assert "qemu-user-static and arch-test" in found.remedy
    assert "--wheels all" in found.remedy


def test_a_component_of_its_own_cpu_is_named(cells: dict[tuple[str, str], Cell]) -> None:
    thor = replace(cells["cu130-thor", "linux/arm64"], image=None)
    (found,) = other_platforms([thor], ["linux/amd64"], ["linux/amd64", "linux/arm64"])
    assert (found.bound, found.complete) == (("lmcache",), False)
    assert found.remedy.startswith("lmcache for linux/arm64 need a node of that platform")


def test_wheels_that_are_cross_compiled_lack_nothing(cells: dict[tuple[str, str], Cell]) -> None:
    (found,) = other_platforms(
        [cells["demo-arm64", "linux/arm64"]], ["linux/amd64"], ["linux/amd64"]
    )
    assert (found.complete, found.remedy) == (True, "")
    native = ["linux/amd64", "linux/arm64"]
    assert list(other_platforms(list(cells.values()), native, native)) == []


def test_a_refusal_says_which_wheels_can_be_built(cells: dict[tuple[str, str], Cell]) -> None:
    message, remedy = cannot_build("default", cells["cu130-thor", "linux/arm64"])
    assert message.endswith("for cu130-thor: lmcache cannot be made on another CPU.")
    assert remedy.endswith("Here --wheels flashinfer --wheels vllm can be built: lmcache cannot.")
    message, remedy = cannot_build("default", cells["cu130-spark", "linux/arm64"])
    assert message.endswith("for cu130-spark: programs of its image run while it is built.")
    assert remedy.endswith("--wheels all.")
