"""Takes a cell's verified result from a store, and hands one in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from smforge.bake.cell_paths import promote, staging
from smforge.bake.record import RECORD_NAME
from smforge.errors import DamagedInputError, OutputError, SmforgeError, ToolError
from smforge.plan.records import Cell
from smforge.workflow.building.freshness import freshness
from smforge.workflow.building.results import Built
from smforge.workflow.building.settings import BuildSettings
from smforge.workflow.farm.stores.store import Store
from smforge.writing import write_whole


def take(settings: BuildSettings, cell: Cell, stores: Sequence[Store]) -> bool:
    """Take the result of a cell from the first of `stores` that has it; False where none has.

    What is taken has the inputs that the cell has now, passed its audits, and is compared with its
    record where it was brought to. A result that is not as recorded, and a store that does not
    answer, are said and left. Nothing is taken where the cell is up to date. Raises
    `BuildFailedError` where another process builds the cell.
    """
    if not stores:
        return False
    found = freshness(settings, cell)
    if found.up_to_date:
        return False
    return any(_taken(settings, cell, found.inputs, store) for store in stores)


def hand_in(settings: BuildSettings, built: Built, stores: Sequence[Store]) -> list[OutputError]:
    """Store the result of a cell that has passed; the result says which stores did not take it."""
    record = built.record
    if not stores or record is None or built.exit_code != 0:
        return []
    cell = built.cell
    errors: list[OutputError] = []
    for store in stores:
        try:
            said = store.keep(settings, cell, record, built.paths)
        except SmforgeError as error:
            why = f"{cell.variant} {cell.platform} is not stored in {store.name}: {error.message}"
            errors.append(OutputError(why, remedy=error.remedy or _AGAIN))
        except OSError as error:
            place = error.filename or store.name
            why = f"{place} cannot be written: {error.strerror or error}."
            errors.append(
                OutputError(f"{cell.variant} {cell.platform} is not stored: {why}", remedy=_AGAIN)
            )
        else:
            if said is not None:
                settings.messages.announce(f"{cell.variant} {cell.platform} is {said}")
    return errors


_AGAIN = "Run the same command again: what was built is kept, and is stored then."


def _taken(settings: BuildSettings, cell: Cell, inputs: Mapping[str, str], store: Store) -> bool:
    paths = settings.paths(cell)
    name = f"{cell.variant} {cell.platform}"
    with staging(paths):
        try:
            record = store.fetch(settings, cell, inputs, paths.staging)
        except (DamagedInputError, ToolError) as error:
            settings.messages.announce(f"{name} is not taken: {error.message}")
            return False
        if record is None:
            return False
        write_whole(paths.logs / RECORD_NAME, record.text)
        promote(paths)
    settings.messages.announce(f"{name} is taken from {store.place(cell)}")
    return True
