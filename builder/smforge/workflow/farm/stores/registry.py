"""A repository of a registry as a store: it has a result for each set of inputs of each cell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from smforge.bake.cell_paths import CellPaths
from smforge.bake.inputs.digest import inputs_digest
from smforge.bake.record import RunRecord, recorded_cell
from smforge.errors import DamagedInputError, ToolError
from smforge.plan.records import Cell
from smforge.workflow.building.freshness import reasons_against
from smforge.workflow.building.settings import BuildSettings
from smforge.workflow.farm.copying import require_as_recorded
from smforge.workflow.farm.stores.artefact import (
    Announce,
    CellRepository,
    FindCredentials,
    StoredCell,
    repository_of,
    tag_of,
)
from smforge.workflow.farm.stores.store import Nearest, Store

__all__ = ["RegistryStore", "repository_of"]
_MOST_COMPARED = 200
"""The most results of one cell that are read to find the nearest."""


class RegistryStore(Store):
    """HOST/NAME. A registry that did not answer is not asked for results again in this run."""

    def __init__(
        self,
        repository: str,
        credentials: FindCredentials,
        announce: Announce,
        mount_from: str | None,
    ) -> None:
        """`mount_from` is a repository of the same registry that images are pushed to.

        Raises `UsageError` for what is no HOST/NAME.
        """
        self.name = f"registry:{repository}"
        self._repository = CellRepository(repository, credentials, announce)
        self._mount_from = mount_from
        self._is_silent = False

    def place(self, cell: Cell) -> str:
        return f"{self.name} ({cell.name})"

    def fetch(
        self, settings: BuildSettings, cell: Cell, inputs: Mapping[str, str], folder: Path
    ) -> RunRecord | None:
        if self._is_silent:
            return None
        try:
            found = self._find(settings, cell, inputs)
            if found is None:
                return None
            self._repository.fetch(found, folder)
        except ToolError:
            self._is_silent = True
            raise
        require_as_recorded(found.record, folder, f"{self.name}:{found.tag}")
        return found.record

    def keep(
        self, settings: BuildSettings, cell: Cell, record: RunRecord, source: CellPaths
    ) -> str | None:
        if inputs_digest(record.inputs) != record.inputs_sha256:
            raise DamagedInputError(
                f"The record in {source.final} does not name its inputs.",
                remedy="Build it again with this smforge.",
            )
        try:
            if self._find(settings, cell, record.inputs) is not None:
                return None
        except DamagedInputError:
            pass  # What cannot be used there is replaced.
        require_as_recorded(record, source.final, source.final)
        sent = self._repository.send(cell.name, record, source.final, self._mount_from)
        return f"stored in {self.name}, {sent:,} bytes sent"

    def nearest(
        self, settings: BuildSettings, cell: Cell, inputs: Mapping[str, str]
    ) -> Nearest | None:
        found = self._records(cell, inputs)
        first = min(found, key=lambda one: _rank(one, inputs), default=None)
        if first is None:
            return None
        reasons = reasons_against(first, cell, inputs, self.name, settings.look_ahead)
        return Nearest(first, tuple(reasons))

    def _find(
        self, settings: BuildSettings, cell: Cell, inputs: Mapping[str, str]
    ) -> StoredCell | None:
        """The result with these inputs, if it is one that a build with these settings takes."""
        digest = inputs_digest(inputs)
        found = self._repository.find(tag_of(cell.name, digest))
        if found is None:
            return None
        record = found.record
        where = f"{self.name}:{found.tag}"
        if (record.inputs_sha256, record.inputs) != (digest, inputs):
            raise DamagedInputError(f"{where} was built from other inputs than its tag says.")
        named = recorded_cell(record, Path(where))
        if (named.variant, named.platform) != (cell.variant, cell.platform):
            raise DamagedInputError(f"{where} is a result of {named.variant} {named.platform}.")
        if not record.passed:
            raise DamagedInputError(f"{where} has not passed.")
        return found if settings.look_ahead.accepts(record.preflight) else None

    def _records(self, cell: Cell, inputs: Mapping[str, str]) -> Iterator[RunRecord]:
        now = tag_of(cell.name, inputs_digest(inputs))
        tags = self._repository.tags(cell.name)
        for tag in sorted(tags, key=lambda one: one != now)[:_MOST_COMPARED]:
            try:
                found = self._repository.find(tag)
            except DamagedInputError:
                continue
            if found is not None:
                yield found.record


def _rank(record: RunRecord, inputs: Mapping[str, str]) -> tuple[int, float]:
    """How many inputs differ, and the later result before the earlier."""
    before = record.inputs
    differ = sum(before.get(name) != inputs.get(name) for name in {*before, *inputs})
    return differ, -record.finished.timestamp()
