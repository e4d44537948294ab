"""A part of a cell: which wheels it makes, and what its record says of the rest."""

from __future__ import annotations

import pytest

from smforge.errors import UsageError
from smforge.matrix.load import Matrix
from smforge.plan.bake import bound_to_their_cpu
from smforge.plan.document import cell_document
from smforge.plan.part import part_of
from smforge.plan.records import Cell
from smforge.plan.resolve import resolve


def the_cell(matrix: Matrix, variant: str) -> Cell:
    cells = resolve(matrix, (variant,)).cells
    return next(cell for cell in cells if cell.platform == "linux/arm64")


def test_the_published_wheel_alone_needs_no_machine_of_its_cpu(matrix: Matrix) -> None:
    thor = the_cell(matrix, "cu130-thor")
    assert bound_to_their_cpu(thor) == ("lmcache",)
    part = part_of(matrix.document, thor, ["vllm"])
    assert bound_to_their_cpu(part) == ()
    assert (part.image, part.part, part.name) == (None, True, thor.name)
    assert part.targets == ("base", "vllm-published")
    assert part.variables["VLLM_PUBLISHED"].endswith("aarch64.whl")
    empty = ("IMAGE", "FLASHINFER_ARCHS", "LMCACHE_ARCHS", "CONNECTORS")
    assert [part.variables[name] for name in empty] == ["", "", "", ""]


def test_what_is_left_out_is_in_the_plan(matrix: Matrix) -> None:
    thor = the_cell(matrix, "cu130-thor")
    part = part_of(matrix.document, thor, ["vllm"])
    dropped = [one["what"] for one in cell_document(part)["dropped"]]
    assert dropped == ["flashinfer", "lmcache", "11.0a", "image"]
    assert str(part.requirements) == "11.0"


def test_a_required_target_stays_with_the_component_that_is_compiled_for_it(
    matrix: Matrix,
) -> None:
    spark = the_cell(matrix, "cu130-spark")
    part = part_of(matrix.document, spark, ["flashinfer"])
    assert part.requirements == spark.requirements
    assert [one.what for one in part.dropped] == ["vllm", "image"]


def test_all_wheels_are_the_cell_without_its_image(matrix: Matrix) -> None:
    spark = the_cell(matrix, "cu130-spark")
    part = part_of(matrix.document, spark, ["all"])
    assert part.components == spark.components
    assert part.targets == tuple(one for one in spark.targets if not one.startswith("image"))
    assert [one.what for one in part.dropped] == ["image"]


def test_a_component_that_the_cell_lacks_is_refused_with_those_that_it_has(
    matrix: Matrix,
) -> None:
    with pytest.raises(UsageError, match="cu130-spark for linux/arm64 has no component 'nixl'"):
        part_of(matrix.document, the_cell(matrix, "cu130-spark"), ["vllm", "nixl"])
