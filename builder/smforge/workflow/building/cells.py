"""Which cells of a matrix a run builds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from smforge.errors import UsageError
from smforge.matrix.load import load
from smforge.plan.records import Cell
from smforge.plan.resolve import resolve


def cells_of(
    config: Path | None,
    variants: Sequence[str],
    platforms: Sequence[str],
    checkouts: Mapping[str, str],
) -> tuple[Path, tuple[Cell, ...]]:
    """The matrix file and the cells to build: the default variant's when none is named.

    `checkouts` has the versions of trees that are built in place of releases, by component.

    Raises `UsageError` when a platform is none of those variants', and what loading raises.
    """
    matrix = load(config)
    plan = resolve(matrix, variants or (matrix.document.default,), checkouts)
    offered = {cell.platform for cell in plan.cells}
    for platform in platforms:
        if platform not in offered:
            raise UsageError(
                f"None of these variants is built for {platform!r}.",
                remedy=f"They are built for {', '.join(sorted(offered))}.",
            )
    wanted = set(platforms) or offered
    return matrix.path, tuple(cell for cell in plan.cells if cell.platform in wanted)
