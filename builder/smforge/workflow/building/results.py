"""Records that the stages of one cell's build pass on: the prediction, the audit, the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from smforge.bake.cell_paths import CellPaths
from smforge.bake.record import PreflightRecord, RunRecord
from smforge.errors import EXIT_BUILD_FAILED, EXIT_OF_VERDICT, SmforgeError
from smforge.plan.records import Cell

if TYPE_CHECKING:
    from smforge.preflight.cell import CellPreflight
    from smforge.report.model import Report
    from smforge.workflow.published import PublishedPreflight

JOB_FORMATS = ("markdown", "junit", "sarif")
"""The formats of CI systems, in which job_reports.py writes results."""
AUDIT_PAGE = "audit.html"
"""The page of the last audit, among the logs."""


class LookAhead(StrEnum):
    """How a build uses preflight."""

    STOP = "stop"
    """A predicted loss stops the build before anything is compiled."""
    RECORD = "record"
    """The loss is recorded, and the build goes on."""
    OFF = "off"
    """No preflight runs, and the audit has nothing to compare with."""

    def accepts(self, record: PreflightRecord | None) -> bool:
        """Whether artefacts that were made under this record need no new build."""
        match self:
            case LookAhead.STOP:
                return record is not None and not record.overridden
            case LookAhead.RECORD:
                return record is not None
            case LookAhead.OFF:
                return True


@dataclass(frozen=True, slots=True)
class Predicted:
    """The result of preflight for a cell."""

    preflight: CellPreflight
    record: PreflightRecord
    reports: Mapping[str, str]
    """The full reports as JSON, by file name."""
    error: SmforgeError | None = None
    """Why nothing may be built; None where the build may go on."""
    published: tuple[PublishedPreflight, ...] = ()
    """What was read of the published wheels that are taken."""


@dataclass(frozen=True, slots=True)
class CellAudit:
    """The reports on a cell's artefacts."""

    artefacts: Report
    """The wheels, or all files where there is no wheel."""
    image: Report | None = None
    """None where the cell makes no image."""

    @property
    def reports(self) -> tuple[Report, ...]:
        """The report on the artefacts, then the one on the image."""
        return (self.artefacts,) if self.image is None else (self.artefacts, self.image)

    @property
    def deciding(self) -> Report:
        """The first report that is no pass; that on the artefacts where all passed."""
        failed = (one for one in self.reports if one.verdict != "pass")
        return next(failed, self.artefacts)

    @property
    def exit_code(self) -> int:
        """0 where all passed."""
        return EXIT_OF_VERDICT[self.deciding.verdict]


@dataclass(frozen=True, slots=True)
class Built:
    """How the build of one cell ended."""

    cell: Cell
    paths: CellPaths
    record: RunRecord | None
    """None when it failed before there was anything to record."""
    up_to_date: bool = False
    unhashed: int = 0
    """Of what is up to date: the artefacts that were hashed earlier, and not now."""
    error: SmforgeError | None = None
    audit: CellAudit | None = None

    @property
    def exit_code(self) -> int:
        """0 if artefacts that passed are in their place."""
        if self.error is not None:
            return self.error.exit_code
        return self.record.exit_code if self.record else EXIT_BUILD_FAILED

    @property
    def result(self) -> str:
        """How it ended, in a word of the record, or ``up-to-date``."""
        if self.up_to_date:
            return "up-to-date"
        return self.record.result if self.record else "failed"
