"""What came of a cell: the artefacts' audit, the record, or the error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from builder.bake.places import CellPlaces
from builder.bake.record import RunRecord
from builder.errors import EXIT_BUILD_FAILED, SmforgeError
from builder.plan.records import Cell


@dataclass(frozen=True, slots=True)
class Audited:
    """What the audit said of a cell's artefacts."""

    verdict: str
    exit_code: int
    findings: int
    """How many of level error."""
    report: str
    """The full report as JSON."""
    table: Callable[[int, bool], str]
    """The report for people, in so many columns, with or without colour."""


Auditor = Callable[[Cell, Path], Audited]
"""Audits the artefacts of a cell in a directory. It is given, since the audit does not know the
build and the build does not know the audit."""


@dataclass(frozen=True, slots=True)
class Built:
    """What came of one cell."""

    cell: Cell
    places: CellPlaces
    record: RunRecord | None
    """None when it failed before there was anything to record."""
    up_to_date: bool = False
    error: SmforgeError | None = None
    audited: Audited | None = None

    @property
    def exit_code(self) -> int:
        """0 when artefacts that passed lie in their place."""
        if self.error is not None:
            return self.error.exit_code
        return self.record.exit_code if self.record else EXIT_BUILD_FAILED
