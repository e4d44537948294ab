"""An output directory of smforge as a store: it has one result of each cell, the last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from smforge.bake.cell_paths import CellPaths, promote, shown, staging
from smforge.bake.record import RECORD_NAME, RunRecord
from smforge.plan.records import Cell
from smforge.workflow.building.freshness import freshness
from smforge.workflow.building.settings import BuildSettings
from smforge.workflow.farm.copying import copy_verified
from smforge.workflow.farm.stores.store import Nearest, Store
from smforge.writing import write_whole

_WAIT_SECONDS = 1800.0
"""For another machine that stores the same cell: copying gigabytes over a network takes minutes."""


class DirectoryStore(Store):
    """OUT of another run, a mounted share, the result of `smforge merge`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = str(shown(folder))

    def place(self, cell: Cell) -> str:
        return str(shown(CellPaths(self.folder, cell.variant, cell.platform).final))

    def fetch(
        self,
        settings: BuildSettings,
        cell: Cell,
        inputs: Mapping[str, str],  # noqa: ARG002  # `freshness` asks for them itself
        folder: Path,
    ) -> RunRecord | None:
        there = replace(settings, out=self.folder, verify=True)
        found = freshness(there, cell)
        if not found.up_to_date or found.former is None:
            return None
        copy_verified(found.former, there.paths(cell).final, folder)
        return found.former

    def keep(
        self, settings: BuildSettings, cell: Cell, record: RunRecord, source: CellPaths
    ) -> str | None:
        there = replace(settings, out=self.folder, verify=True)
        paths = there.paths(cell)
        if paths.final.resolve() == source.final.resolve():
            return None
        with staging(paths, _WAIT_SECONDS):
            if freshness(there, cell).up_to_date:
                return None
            copy_verified(record, source.final, paths.staging)
            write_whole(paths.logs / RECORD_NAME, record.text)
            promote(paths)
        return f"stored in {shown(paths.final)}"

    def nearest(
        self,
        settings: BuildSettings,
        cell: Cell,
        inputs: Mapping[str, str],  # noqa: ARG002  # `freshness` asks for them itself
    ) -> Nearest | None:
        found = freshness(replace(settings, out=self.folder, verify=True), cell)
        return None if found.former is None else Nearest(found.former, found.reasons)
