"""What came of a cell: what was foreseen, the artefacts' audit, the record, or the error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from smforge.bake.cell_paths import CellPlaces
from smforge.bake.record import PreflightRecord, RunRecord
from smforge.errors import EXIT_BUILD_FAILED, EXIT_PASS, SmforgeError
from smforge.plan.records import Cell

if TYPE_CHECKING:
    from smforge.preflight.cell import CellPreflight


class Lookahead(StrEnum):
    """What a build does with preflight."""

    STOP = "stop"
    """A loss that it foresees stops the build before anything is compiled."""
    RECORD = "record"
    """The loss is recorded, and it is built all the same."""
    OFF = "off"
    """None runs, and the audit has nothing to compare with."""

    def is_content_with(self, record: PreflightRecord | None) -> bool:
        """Whether artefacts that were made under this record need no new build."""
        match self:
            case Lookahead.STOP:
                return record is not None and not record.overridden
            case Lookahead.RECORD:
                return record is not None
            case Lookahead.OFF:
                return True


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What preflight says of a cell."""

    preflight: CellPreflight
    record: PreflightRecord
    reports: Mapping[str, str]
    """The full reports as JSON, by the name of their file."""
    error: SmforgeError | None = None
    """Why nothing may be built; None where it may."""


Foreseer = Callable[[Cell], Foreseen]
"""Looks ahead for a cell. It is given, since reports are not written in this stage."""


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
    image: Audited | None = None
    """The same of the cell's image; None where there is none."""

    @property
    def all(self) -> tuple[Audited, ...]:
        """This one, and that of the image where there is one."""
        return (self,) if self.image is None else (self, self.image)

    @property
    def deciding(self) -> Audited:
        """The first that did not pass; this one when all passed."""
        return next((one for one in self.all if one.exit_code != EXIT_PASS), self)


Auditor = Callable[[Cell, Path, Foreseen | None], Audited]
"""Audits the artefacts of a cell in a directory, against what was foreseen. It is given, since the
audit does not know the build and the build does not know the audit."""


Completer = Callable[[Cell, Path, Audited], None]
"""Adds to the artefacts of a cell, in a directory, what is known only once they have passed."""


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
