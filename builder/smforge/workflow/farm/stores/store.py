"""What every store of results can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from smforge.bake.cell_paths import CellPaths
from smforge.bake.record import RunRecord
from smforge.plan.records import Cell
from smforge.workflow.building.settings import BuildSettings


@dataclass(frozen=True, slots=True)
class Nearest:
    """The result of a cell in a store whose inputs differ least from those that it has now."""

    record: RunRecord
    reasons: tuple[str, ...]
    """Why it is not taken, as sentences; empty where it would be taken."""


class Store(ABC):
    """Keeps results. Who may write to it decides what is taken; wrong bytes are never taken."""

    name: str
    """As the user wrote it."""

    @abstractmethod
    def place(self, cell: Cell) -> str:
        """Where the results of a cell are, for people."""

    @abstractmethod
    def fetch(
        self, settings: BuildSettings, cell: Cell, inputs: Mapping[str, str], folder: Path
    ) -> RunRecord | None:
        """Bring a cell's result with these inputs to `folder`; None where the store has none.

        What is there afterwards has been compared with its record. Raises `DamagedInputError` for a
        result that is not as recorded and `ToolError` where the store does not answer.
        """

    @abstractmethod
    def keep(
        self, settings: BuildSettings, cell: Cell, record: RunRecord, source: CellPaths
    ) -> str | None:
        """Store a result that passed, unless the store has one that would be taken.

        The result says what was stored. Raises `SmforgeError`, and `OSError` as the file system
        does.
        """

    @abstractmethod
    def nearest(
        self, settings: BuildSettings, cell: Cell, inputs: Mapping[str, str]
    ) -> Nearest | None:
        """The stored result of a cell that is most like what a build would make now.

        Raises `ToolError` where the store does not answer.
        """
