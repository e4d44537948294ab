"""Makes the record of one build."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from smforge.bake.command import BakeCall
from smforge.bake.cost_record import CostRecord, compare
from smforge.bake.host.engine import Engine
from smforge.bake.inputs.checkout import checkout_of
from smforge.bake.inputs.digest import inputs_digest
from smforge.bake.record import Artefact, AuditRecord, Result, RunRecord, TargetRecord, Tool, Tools
from smforge.errors import EXIT_OF_VERDICT
from smforge.plan.document import cell_document
from smforge.plan.records import Cell
from smforge.report.model import Report
from smforge.version import __version__
from smforge.workflow.building.results import Predicted
from smforge.workflow.cost.expecting import (
    compiled_anew,
    compiling_targets,
    expected_cost,
)


@dataclass(frozen=True, slots=True)
class Run:
    """What is known of a build before anything is compiled."""

    began: datetime
    cell: Cell
    call: BakeCall
    engine: Engine
    inputs: Mapping[str, str]
    """The SHA-256 of each input, by name."""
    predicted: Predicted | None
    _clock: float = field(default_factory=time.monotonic)
    """The clock of the machine's time may be set while a build runs; this one only goes on."""

    def record(  # noqa: PLR0913 - the ways in which a build ends
        self,
        result: Result,
        exit_code: int,
        *,
        error: str | None = None,
        targets: tuple[TargetRecord, ...] = (),
        artefacts: tuple[Artefact, ...] = (),
        audits: tuple[AuditRecord, ...] = (),
    ) -> RunRecord:
        """The record of the build, which ends now. `audits`: of the artefacts, of the image."""
        seconds = time.monotonic() - self._clock
        audit, image_audit = (*audits, None, None)[:2]
        return RunRecord(
            tool=Tool(name="smforge", version=__version__),
            result=result,
            exit_code=exit_code,
            error=error,
            started=self.began,
            finished=self.began + timedelta(seconds=seconds),
            seconds=round(seconds, 3),
            inputs_sha256=inputs_digest(self.inputs),
            inputs=dict(self.inputs),
            plan=cell_document(self.cell),
            variables=dict(self.call.variables),
            command=self.call.argv,
            tools=Tools(
                engine=self.engine.version,
                buildx=self.engine.buildx,
                buildkit=self.engine.buildkit,
                builder=self.engine.builder,
                driver=self.engine.driver,
            ),
            checkout=checkout_of(self.call.root),
            preflight=self.predicted.record if self.predicted else None,
            cost=self._cost(targets, ended=result in {"passed", "rejected"}),
            targets=targets,
            artefacts=artefacts,
            audit=audit,
            image_audit=image_audit,
        )

    def _cost(self, targets: tuple[TargetRecord, ...], *, ended: bool) -> CostRecord | None:
        """What was expected, from preflight's result; compared where everything was compiled."""
        if self.predicted is None:
            return None
        jobs = int(self.call.variables["MAX_JOBS"])
        expected = expected_cost(self.cell, self.predicted.preflight, jobs)
        if expected is None:
            return None
        if not ended:
            return CostRecord(**expected.model_dump())
        compiled = {one.name: one.compilations for one in targets}
        anew = compiled_anew(self.predicted.preflight, compiled, jobs)
        return compare(expected, compiled, compiling_targets(self.cell), anew)


def audit_record(report: Report, file: str, text: str) -> AuditRecord:
    """What the record says of an audit; `text` is its report as the file holds it."""
    return AuditRecord(
        verdict=report.verdict,
        exit_code=EXIT_OF_VERDICT[report.verdict],
        findings=sum(finding.level == "error" for finding in report.findings),
        report=file,
        report_sha256=hashlib.sha256(text.encode()).hexdigest(),
    )
