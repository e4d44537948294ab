"""Builds one cell, unless its last verified result is up to date."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

from smforge.bake.cell_paths import CellPaths, shown
from smforge.bake.host import engine as engines
from smforge.bake.host.engine import Engine
from smforge.bake.record import RunRecord
from smforge.errors import BuildFailedError, SmforgeError
from smforge.files import unwritten
from smforge.plan.records import Cell
from smforge.workflow.building.freshness import Freshness, freshness
from smforge.workflow.building.results import Built
from smforge.workflow.building.settings import BuildSettings


@dataclass(frozen=True)
class Builder:
    """Builds cells of one matrix on one engine, which is asked nothing before it is needed."""

    settings: BuildSettings

    @cached_property
    def engine(self) -> Engine:
        """The builder with its nodes. Raises as `engines.inspect` does."""
        return engines.inspect(self.settings.builder)

    def build(self, cell: Cell, *, force: bool = False) -> Built:
        """Build and audit a cell, unless its artefacts are up to date and `force` is not set.

        A failure is in the result's `error` and is never raised, so that other cells can follow.
        """
        paths = self.settings.paths(cell)
        try:
            return self._build(cell, paths, force=force)
        except SmforgeError as error:
            return Built(cell, paths, None, error=error)
        except OSError as error:
            return Built(cell, paths, None, error=_cannot_write(error))

    def _build(self, cell: Cell, paths: CellPaths, *, force: bool) -> Built:
        settings = self.settings
        found = freshness(settings, cell)
        if found.up_to_date and not force:
            return Built(cell, paths, found.former, up_to_date=True, unhashed=found.unhashed)
        _require_no_more(cell, found.former, paths)
        _say_why(settings, cell, found)
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(lambda: self.engine)
            # While the engine answers, what makes a cell is loaded, after what asks the engine.
            engines.client_package()
            from smforge.workflow.building.making import make  # noqa: PLC0415  # defers verdict

            engine = asked.result()
        return make(settings, engine, cell, paths, found)


def _require_no_more(cell: Cell, former: RunRecord | None, paths: CellPaths) -> None:
    """Raise `BuildFailedError` where a part of a cell would replace a result with more in it."""
    if not cell.part or former is None:
        return
    names = [one.name for one in cell.components]
    more = [one["name"] for one in former.plan.get("components", ()) if one["name"] not in names]
    more += ["the image"] if former.plan.get("image") else []
    if more:
        raise BuildFailedError(
            f"{shown(paths.final)} holds {', '.join(more)} too, and these wheels alone would "
            "replace it.",
            remedy="Build them into another directory with --out.",
        )


def _say_why(settings: BuildSettings, cell: Cell, found: Freshness) -> None:
    """Tell why a cell that has a result is built again."""
    if found.former is not None and found.reasons:
        first, *others = found.reasons
        more = f" ({len(others)} more reasons: --explain {cell.name})" if others else ""
        settings.messages.announce(f"{cell.variant} {cell.platform} is built again: {first}{more}")


def _cannot_write(error: OSError) -> BuildFailedError:
    where = f" at {error.filename}" if error.filename else ""
    known = unwritten(error)
    remedy = known.remedy if known is not None else "Choose another directory with --out."
    return BuildFailedError(
        f"The build's files cannot be written{where}: {error.strerror or error}.",
        remedy=f"{remedy} Then run the same command again: it continues from the cache.",
    )
