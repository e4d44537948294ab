"""What a plan makes of components that are taken as published."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from smforge.arch.target import ComputeCapability
from smforge.errors import UsageError
from smforge.matrix.load import Matrix
from smforge.plan.bake import cross_compiles
from smforge.plan.document import cell_document
from smforge.plan.records import Cell, PlannedComponent
from smforge.plan.resolve import resolve
from smforge.plan.table import render_table

Changed = Callable[[Callable[[dict[str, Any]], None]], Matrix]
SPARK = ComputeCapability(12, 1)


def spark(matrix: Matrix, platform: str = "linux/arm64") -> Cell:
    cells = resolve(matrix, ("cu130-spark",)).cells
    return next(one for one in cells if one.platform == platform)


def test_each_platform_has_its_wheel_for_the_required_devices(matrix: Matrix) -> None:
    for platform, cpu in (("linux/amd64", "x86_64"), ("linux/arm64", "aarch64")):
        cell = spark(matrix, platform)
        component = cell.component("vllm")
        assert component is not None
        wheel = component.published
        assert wheel is not None
        assert wheel.file.endswith(f"{cpu}.whl")
        assert (wheel.keep, wheel.repair) == ((SPARK,), True)
        assert (component.archs, component.externals) == ((), ())


def test_its_targets_and_variables(matrix: Matrix) -> None:
    cell = spark(matrix)
    assert "vllm-published" in cell.targets
    assert "vllm" not in cell.targets
    variables = cell.variables
    assert variables["VLLM_PUBLISHED"] == "vllm-0.33.0-cp38-abi3-manylinux_2_28_aarch64.whl"
    assert (variables["VLLM_KEEP"], variables["VLLM_REPAIR"]) == ("12.1", "1")
    assert variables["VLLM_ARCHS"] == ""


def without_repair(document: dict[str, Any]) -> None:
    document["variants"]["demo-full"]["components"]["vllm"]["repair"] = False


def test_a_variant_may_leave_the_repair_out(changed: Changed) -> None:
    (cell,) = resolve(changed(without_repair), ("demo-full",)).cells
    assert cell.variables["VLLM_REPAIR"] == ""
    vllm = cell_document(cell)["components"][1]
    assert (vllm["published"]["keep"], vllm["published"]["repair"]) == (["12.1"], False)


def test_the_table_says_what_is_done(changed: Changed) -> None:
    said = render_table(resolve(changed(without_repair), ("cu130-spark", "demo-full")))
    assert "vllm        0.33.0, published, slimmed for 12.1, repaired\n" in said
    assert "vllm        0.33.0, published, slimmed for 12.1\n" in said


def test_no_machine_of_the_platform_is_needed(matrix: Matrix) -> None:
    cell = spark(matrix)
    assert cross_compiles(cell)
    nixl = PlannedComponent("nixl", "1.5.1", (), (), (), {})
    assert not cross_compiles(replace(cell, components=(*cell.components, nixl)))
    assert not cross_compiles(resolve(matrix, ("cu130-thor",)).cells[0])


def test_devices_come_from_the_targets_where_no_device_is_required(changed: Changed) -> None:
    def targets_alone(document: dict[str, Any]) -> None:
        document["variants"]["cu130-spark"]["require"] = {"linux/amd64": ["12.1a"]}
        archs = document["variants"]["cu130-spark"]["components"]["flashinfer"]["archs"]
        del archs["linux/arm64"]

    vllm = spark(changed(targets_alone), "linux/amd64").component("vllm")
    assert vllm is not None
    assert vllm.published is not None
    assert vllm.published.keep == (SPARK,)


def test_a_checkout_is_not_built_where_the_wheel_is_taken(matrix: Matrix) -> None:
    with pytest.raises(UsageError, match="this variant takes vllm as published") as caught:
        resolve(matrix, ("cu130-rtx",), {"vllm": "0.33.1"})
    assert '"from": "source"' in str(caught.value)
