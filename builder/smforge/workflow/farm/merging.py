"""Joins the outputs of several machines into one set, which is verified before it gets its name.

The result is laid out as one machine's output: artefacts with their records and reports, the logs,
and the manifest that one machine's run over all cells would have written.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from smforge.bake.cell_paths import CellPaths
from smforge.bake.inputs.digest import CELL, inputs_digest
from smforge.bake.record import RECORD_NAME, RunRecord
from smforge.errors import DamagedInputError, UnpublishableError, UsageError, first_problem
from smforge.files import read_small
from smforge.plan.records import Cell
from smforge.publish.outputs import Output, find_outputs
from smforge.workflow.building.freshness import freshness
from smforge.workflow.building.settings import BuildSettings
from smforge.workflow.farm.choice import parse_shard
from smforge.workflow.farm.copying import copy_verified
from smforge.workflow.farm.journal import JOURNAL_NAME, read_journal
from smforge.workflow.farm.manifest import MANIFEST_NAME, passed_entry, write_manifest
from smforge.workflow.farm.stores.naming import is_registry
from smforge.workflow.farm.stores.store import Store

_MOST_BYTES = 256 << 20
_OF_A_CELL = (CELL, "policy ", "ROOTFS_DIR", "RUNTIME_ROOTFS_DIR")
"""How the names of inputs begin that differ from cell to cell."""


@dataclass(frozen=True, slots=True)
class MergedCell:
    """One cell of the set."""

    variant: str
    platform: str
    record: RunRecord
    source: Path
    """The folder that its artefacts were taken from."""
    origin: str
    """The same for people; a store, where the folder was fetched from one."""

    @property
    def name(self) -> str:
        """``cu130-linux-arm64``."""
        return f"{self.variant}-{self.platform.replace('/', '-')}"


@dataclass(frozen=True, slots=True)
class Merged:
    """The set."""

    cells: tuple[MergedCell, ...]
    """By name."""


class _Entry(BaseModel):
    """What is read of a manifest's cell."""

    model_config = ConfigDict(frozen=True)

    cell: str
    result: str


class _Manifest(BaseModel):
    model_config = ConfigDict(frozen=True)

    schema_version: Literal[1]
    cells: tuple[_Entry, ...]


@dataclass(frozen=True, slots=True)
class FromStores:
    """The cells that are brought from stores, which keep results of many runs."""

    settings: BuildSettings
    """What the cells' inputs are now; results of other inputs are not brought."""
    cells: tuple[Cell, ...]
    """All that must be there at the end, from a store or a folder."""
    stores: tuple[Store, ...]


def is_store(name: str) -> bool:
    """Whether what is to be merged is a store: a registry, or a directory that no run wrote to."""
    if is_registry(name):
        return True
    folder = Path(name)
    of_a_run = (folder / JOURNAL_NAME, folder / MANIFEST_NAME)
    return folder.is_dir() and not any(path.exists() for path in of_a_run)


def merge(folders: Sequence[Path], out: Path, brought: FromStores | None = None) -> Merged:
    """Join the outputs below `folders` and write them to `out`, whole or not at all.

    Raises `UsageError` where `out` exists or nothing that passed is there, `UnpublishableError`
    where a cell or a share that a folder knows of is missing, and `DamagedInputError` for files
    that are not as their record says, and for cells that do not belong together. Cells that are
    `brought` are treated alike; a store that does not answer raises `ToolError`.
    """
    if brought is None:
        return _merge(folders, {}, frozenset(), out)
    _require_new(out)
    fetched = out.with_name(f".{out.name}.fetched")
    shutil.rmtree(fetched, ignore_errors=True)
    try:
        origins = _bring(brought, fetched)
        return _merge(folders, origins, frozenset(cell.name for cell in brought.cells), out)
    finally:
        shutil.rmtree(fetched, ignore_errors=True)


def _bring(brought: FromStores, folder: Path) -> dict[Path, str]:
    """Fetch from the first store that has it each cell, into a folder laid out as an output.

    The result has the store of each cell's folder.
    """
    origins = {}
    for cell in brought.cells:
        settings = brought.settings
        inputs = freshness(settings, cell).inputs
        place = CellPaths(folder, cell.variant, cell.platform).final
        for store in brought.stores:
            place.mkdir(parents=True)
            if store.fetch(settings, cell, inputs, place) is not None:
                origins[place] = store.place(cell)
                break
            shutil.rmtree(place)
    return origins


def _require_new(out: Path) -> None:
    if out.exists():
        raise UsageError(
            f"{out} exists, and merge writes a new directory.", remedy="Remove it, or name another."
        )


def _merge(
    folders: Sequence[Path], origins: Mapping[Path, str], wanted: frozenset[str], out: Path
) -> Merged:
    """Join the outputs of runs in `folders` and the fetched cells, whose folders `origins` has."""
    _require_new(out)
    places = [*folders, *origins]
    found = [_cell(output, origins) for output in find_outputs(places)] if places else []
    cells = tuple(sorted(_once(found), key=lambda cell: cell.name))
    there = frozenset(cell.name for cell in cells)
    if missing := sorted(wanted - there):
        raise UnpublishableError(
            f"No store has a verified result of {', '.join(missing)} with its present inputs.",
            remedy="Build these with --store, or see 'smforge build --explain CELL --reuse STORE'.",
        )
    _require_same_inputs(cells)
    _require_all_cells(folders, there)
    _require_all_shares(folders)
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        for cell in cells:
            _copy(cell, partial)
        write_manifest(partial, (passed_entry(cell.name, cell.record) for cell in cells))
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Merged(cells)


def _cell(output: Output, origins: Mapping[Path, str]) -> MergedCell:
    record = output.record
    if not record.inputs or inputs_digest(record.inputs) != record.inputs_sha256:
        raise DamagedInputError(
            f"{output.folder / RECORD_NAME} does not name its inputs, or others than its digest.",
            remedy="Build it again with this smforge.",
        )
    origin = origins.get(output.folder, str(output.folder))
    return MergedCell(output.variant, output.platform, record, output.folder, origin)


def _once(found: Sequence[MergedCell]) -> Iterator[MergedCell]:
    """Each cell once. Raises `DamagedInputError` where two machines made different artefacts."""
    seen: dict[str, MergedCell] = {}
    for cell in found:
        first = seen.setdefault(cell.name, cell)
        if first.record.artefacts != cell.record.artefacts:
            raise DamagedInputError(
                f"{first.origin} and {cell.origin} hold different artefacts of {cell.name}.",
                remedy="Merge one of them.",
            )
    yield from seen.values()


def _require_same_inputs(cells: Sequence[MergedCell]) -> None:
    """Compare what all cells have in common: smforge, docker-bake.hcl, the matrix, contexts."""
    first = cells[0]
    common = _common(first.record)
    for cell in cells[1:]:
        other = _common(cell.record)
        if other == common:
            continue
        name = min(key for key in {*common, *other} if common.get(key) != other.get(key))
        raise DamagedInputError(
            f"{first.name} in {first.origin} and {cell.name} in {cell.origin} were built from "
            f"different inputs: {name} differs.",
            remedy="Build the older ones again from the same checkout.",
        )


def _common(record: RunRecord) -> dict[str, str]:
    return {name: sha for name, sha in record.inputs.items() if not name.startswith(_OF_A_CELL)}


def _require_all_cells(folders: Sequence[Path], there: frozenset[str]) -> None:
    """Raise `UnpublishableError` for cells of a folder's last run that passed nowhere."""
    for folder in folders:
        missing = [
            f"{one.cell} ({one.result})" for one in _entries(folder) if one.cell not in there
        ]
        if missing:
            raise UnpublishableError(
                f"The run in {folder} has cells that have not passed: {', '.join(missing)}.",
                remedy="Finish it with 'smforge build --resume', then merge again.",
            )


def _entries(folder: Path) -> tuple[_Entry, ...]:
    """The cells of a folder's last run. Raises `UnpublishableError` for a run without an end."""
    path = folder / MANIFEST_NAME
    try:
        return _Manifest.model_validate_json(read_small(path, _MOST_BYTES)).cells
    except FileNotFoundError:
        raise UnpublishableError(
            f"{folder} has no {MANIFEST_NAME}: its run has not come to its end.",
            remedy="Finish it with 'smforge build --resume', then merge again.",
        ) from None
    except OSError as error:
        raise DamagedInputError(f"{path} cannot be read: {error.strerror or error}.") from error
    except ValidationError as error:
        place, problem = first_problem(error)
        raise DamagedInputError(
            f"{path} is no manifest that this smforge can use: at {place or 'its beginning'}, "
            f"{problem}."
        ) from error


def _require_all_shares(folders: Sequence[Path]) -> None:
    """Raise `UnpublishableError` where one share of several is there and another is not."""
    shares = set()
    for folder in folders:
        history = read_journal(folder)
        if history is not None and history.begun.request.shard is not None:
            shares.add(parse_shard(history.begun.request.shard))
    for count in {share.count for share in shares}:
        numbers = {share.number for share in shares if share.count == count}
        missing = [f"{number}/{count}" for number in range(1, count + 1) if number not in numbers]
        if missing:
            raise UnpublishableError(
                f"The shares {', '.join(missing)} are missing.",
                remedy="Name the outputs of all machines.",
            )


def _copy(cell: MergedCell, out: Path) -> None:
    """Copy a cell with its reports and logs, and compare the copy with its record."""
    paths = CellPaths(out, cell.variant, cell.platform)
    copy_verified(cell.record, cell.source, paths.final)
    logs = cell.source.parent / "logs" / paths.slug
    if logs.is_dir():
        shutil.copytree(logs, paths.logs, ignore=_links)


def _links(folder: str, names: list[str]) -> set[str]:
    """The links among the names of a folder: they may lead out of it."""
    return {name for name in names if Path(folder, name).is_symlink()}
