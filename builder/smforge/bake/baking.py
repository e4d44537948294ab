"""Carries out the bake call of one cell, with its logs and a display."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from smforge.bake.cell_paths import CellPaths
from smforge.bake.command import BakeCall
from smforge.bake.definition import resolve_definition
from smforge.bake.progress.display import Progress
from smforge.bake.progress.logs import TargetLogs
from smforge.bake.progress.state import BuildState, Change
from smforge.bake.record import TargetRecord
from smforge.bake.runner import Outcome, run_bake
from smforge.bake.targets import target_records
from smforge.writing import write_whole


@dataclass(frozen=True, slots=True)
class Baked:
    """How a bake call ended, where its targets export to, and which of them need which."""

    outcome: Outcome
    destinations: dict[str, tuple[Path, ...]]
    needs: dict[str, tuple[str, ...]]

    @property
    def succeeded(self) -> bool:
        return self.outcome.exit_code == 0 and self.outcome.interrupted is None

    def targets(self, paths: CellPaths) -> tuple[TargetRecord, ...]:
        """A record of each target, with the present size of its output."""
        return target_records(self.outcome.state, paths, self.destinations, self.needs)


def bake(
    call: BakeCall, paths: CellPaths, began: datetime, progress: Progress, lock: int | None = None
) -> Baked:
    """Write the override, and run buildx until it ends; meanwhile the definition is resolved.

    buildx inherits `lock`, the descriptor of a held lock. A build that fails is a result. Raises
    what `resolve_definition` and `run_bake` raise.
    """
    write_whole(call.override, call.override_text)
    paths.metadata.unlink(missing_ok=True)
    with ThreadPoolExecutor(1) as pool, TargetLogs(paths.logs) as logs, progress:
        # Both read the same files, and what refuses them in one does so in the other.
        resolving = pool.submit(resolve_definition, call)

        def begun() -> BuildState:
            return BuildState(resolving.result().targets, began=began)

        outcome = run_bake(call, begun, _Observers(logs, progress), lock)
        definition = resolving.result()
    return Baked(outcome, definition.destinations(call.root), definition.needs)


@dataclass(frozen=True, slots=True)
class _Observers:
    logs: TargetLogs
    progress: Progress

    def changed(self, state: BuildState, changes: tuple[Change, ...]) -> None:
        self.logs.write(changes)
        self.progress.changed(state, changes)
