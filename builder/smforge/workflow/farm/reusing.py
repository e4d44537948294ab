"""Takes a cell's verified result from another output directory, where its inputs are the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from smforge.bake.cell_paths import promote, shown, staging
from smforge.bake.record import RECORD_NAME
from smforge.errors import DamagedInputError
from smforge.plan.records import Cell
from smforge.workflow.building.freshness import freshness
from smforge.workflow.building.settings import BuildSettings
from smforge.workflow.farm.copying import copy_verified
from smforge.writing import write_whole


def take(settings: BuildSettings, cell: Cell, stores: Sequence[Path]) -> bool:
    """Take the result of a cell from the first of `stores` that has it; False where none has.

    A store is an output directory of smforge. What is taken has the inputs that the cell has now,
    passed its audits, and is compared with its record after it was copied. A result that is not as
    recorded is said and left. Nothing is taken where the cell is up to date. Raises
    `BuildFailedError` where another process builds the cell.
    """
    if not stores or freshness(settings, cell).up_to_date:
        return False
    return any(_taken(settings, cell, store) for store in stores)


def _taken(settings: BuildSettings, cell: Cell, store: Path) -> bool:
    there = replace(settings, out=store, verify=True)
    found = freshness(there, cell)
    if not found.up_to_date or found.former is None:
        return False
    source, paths = there.paths(cell).final, settings.paths(cell)
    name = f"{cell.variant} {cell.platform}"
    with staging(paths):
        try:
            copy_verified(found.former, source, paths.staging)
        except DamagedInputError as error:
            settings.messages.announce(f"{name} is not taken: {error.message}")
            return False
        write_whole(paths.logs / RECORD_NAME, found.former.text)
        promote(paths)
    settings.messages.announce(f"{name} is taken from {shown(source)}")
    return True
