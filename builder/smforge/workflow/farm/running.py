"""Builds the cells of a run one after the other, with a journal and a manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from smforge.bake.cell_paths import recover
from smforge.errors import (
    EXIT_PASS,
    BuildFailedError,
    EngineUnavailableError,
    InterruptedBuildError,
    SmforgeError,
    UsageError,
)
from smforge.files import unwritten
from smforge.plan.records import Cell
from smforge.workflow.building.build import Builder
from smforge.workflow.building.results import Built
from smforge.workflow.farm.holding import held
from smforge.workflow.farm.journal import (
    CellBegun,
    CellEnded,
    Ended,
    History,
    Journal,
    last_run,
    now,
)
from smforge.workflow.farm.manifest import (
    MANIFEST_NAME,
    other_entry,
    passed_entry,
    write_manifest,
)
from smforge.workflow.farm.request import BuildRequest
from smforge.workflow.farm.reusing import hand_in, take
from smforge.workflow.farm.stores.naming import Stores
from smforge.workflow.farm.stores.store import Store

Tell = Callable[[Built], None]


@dataclass(frozen=True, slots=True)
class Ran:
    """How a run ended."""

    results: tuple[Built, ...]
    not_begun: tuple[Cell, ...]
    """Cells that were left out because of how another one ended."""
    unstored: tuple[SmforgeError, ...] = ()
    """Why what has passed is not in a store that it should be in."""

    @property
    def exit_code(self) -> int:
        """The highest of the cells and the stores: 0 only where all is as it was asked for."""
        codes = [built.exit_code for built in self.results]
        return max((*codes, *(error.exit_code for error in self.unstored)), default=EXIT_PASS)


def run_cells(  # noqa: PLR0913  # what a run has of its command line
    builder: Builder,
    cells: Sequence[Cell],
    request: BuildRequest,
    stores: Stores,
    *,
    resume: bool,
    wait: bool,
    tell: Tell,
) -> Ran:
    """Build cells in their order; `tell` gets each result as soon as it is there.

    `stores` are those that `request` names.
    With `resume`, the last run in the output directory is continued: `request` is its request.
    Raises `BuildFailedError` where another run holds the directory or it cannot be written, and
    `UsageError` where the run that is to be resumed had other cells.
    """
    out = builder.settings.out.resolve()
    announce = builder.settings.messages.announce
    with _in_sentences(out), held(out, wait=wait, announce=announce):
        former = last_run(out) if resume else None
        if former is not None:
            _require_same_cells(former, cells)
        recover(out)
        (out / MANIFEST_NAME).unlink(missing_ok=True)
        names = [cell.name for cell in cells]
        journal = Journal.resume(out) if resume else Journal.begin(out, request, names)
        kept = former.passed if former is not None else frozenset()

        with builder.settings.messages.of_run([cell.title for cell in cells]) as messages:
            shown = replace(builder, settings=replace(builder.settings, messages=messages))

            def build(cell: Cell) -> Built:
                force = request.force and cell.name not in kept
                return _built(shown, cell, () if force else stores.reuse, force=force)

            def done(built: Built) -> Sequence[SmforgeError]:
                messages.ended(built)
                tell(built)
                return hand_in(shown.settings, built, stores.keep)

            ran = _run(cells, build, journal, done, keep_going=request.keep_going)
        write_manifest(out, _entries(ran))
        journal.add(Ended(at=now(), exit_code=ran.exit_code))
    return ran


def _run(
    cells: Sequence[Cell],
    build: Callable[[Cell], Built],
    journal: Journal,
    done: Callable[[Built], Sequence[SmforgeError]],
    *,
    keep_going: bool,
) -> Ran:
    results: list[Built] = []
    unstored: list[SmforgeError] = []
    for cell in cells:
        journal.add(CellBegun(at=now(), cell=cell.name))
        built = build(cell)
        journal.add(_ended(built))
        results.append(built)
        unstored += done(built)
        if _stops(built, keep_going=keep_going):
            break
    return Ran(tuple(results), tuple(cells[len(results) :]), tuple(unstored))


def _built(builder: Builder, cell: Cell, stores: Sequence[Store], *, force: bool) -> Built:
    """Take a cell's result from a store, or build it."""
    builder.settings.messages.begun(cell.title)
    try:
        take(builder.settings, cell, stores)
    except SmforgeError as error:
        return Built(cell, builder.settings.paths(cell), None, error=error)
    return builder.build(cell, force=force)


def _stops(built: Built, *, keep_going: bool) -> bool:
    # Neither comes back by itself: the cells that follow would only fail the same way.
    if isinstance(built.error, EngineUnavailableError | InterruptedBuildError):
        return True
    return built.exit_code != EXIT_PASS and not keep_going


def _ended(built: Built) -> CellEnded:
    return CellEnded(
        at=now(),
        cell=built.cell.name,
        result=built.result,
        exit_code=built.exit_code,
        inputs_sha256=None if built.record is None else built.record.inputs_sha256,
    )


def _entries(ran: Ran) -> Iterator[dict[str, Any]]:
    for built in ran.results:
        if built.exit_code == EXIT_PASS and built.record is not None:
            yield passed_entry(built.cell.name, built.record)
        else:
            yield other_entry(built.cell.name, built.result)
    for cell in ran.not_begun:
        yield other_entry(cell.name, "not-begun")


def _require_same_cells(former: History, cells: Sequence[Cell]) -> None:
    if former.begun.cells != tuple(cell.name for cell in cells):
        raise UsageError(
            "The matrix has other cells than the run that is to be resumed: "
            f"{', '.join(former.begun.cells)}.",
            remedy="Build without --resume: what is up to date is kept.",
        )


@contextmanager
def _in_sentences(out: Path) -> Iterator[None]:
    """Turn an error of the file system into one that says where."""
    try:
        yield
    except OSError as error:
        where = error.filename or out
        known = unwritten(error)
        remedy = known.remedy if known is not None else "Choose another directory with --out."
        raise BuildFailedError(
            f"The build's files cannot be written at {where}: {error.strerror or error}.",
            remedy=f"{remedy} Then run the same command again.",
        ) from error
