"""Which cells of a matrix a run builds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from smforge.matrix.load import load
from smforge.plan.part import part_of
from smforge.plan.records import Cell
from smforge.plan.resolve import resolve
from smforge.workflow.farm.choice import Choice, chosen
from smforge.workflow.farm.worth import in_order


def cells_of(
    config: Path | None, choice: Choice, checkouts: Mapping[str, str]
) -> tuple[Path, tuple[Cell, ...]]:
    """The matrix file and the cells to build, in the order in which they are built.

    Where no variant is named, they are of the default variant; of all variants where cells are
    named or a share of the matrix is asked for. `checkouts` has the versions of trees that are
    built in place of releases, by component. Raises what `chosen`,
    `part_of` and loading raise.
    """
    matrix = load(config)
    everything = choice.only or choice.shard
    variants = choice.variants or (() if everything else (matrix.document.default,))
    cells = chosen(resolve(matrix, variants, checkouts).cells, choice)
    if choice.wheels:
        cells = tuple(part_of(matrix.document, cell, choice.wheels) for cell in cells)
    return matrix.path, in_order(cells)
