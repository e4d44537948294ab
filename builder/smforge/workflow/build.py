"""Builds one cell: bake into a staging directory, audit what came out, then put it in place."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from smforge import __version__
from smforge.bake import engine as engines
from smforge.bake.cell_paths import CellPlaces, promote, reject, shown, staging
from smforge.bake.checkout import checkout_of
from smforge.bake.command import BakeCall
from smforge.bake.crossing import Crossing, crossing_for, host_platform
from smforge.bake.definition import Definition, resolve_definition
from smforge.bake.diagnosis import failure
from smforge.bake.engine import Engine, Means
from smforge.bake.externals import default_store as default_sources_store
from smforge.bake.externals import ensure_externals, externals_of
from smforge.bake.host import HostSettings, bake_call, root_file_systems
from smforge.bake.inputs import artefacts_in, inputs_digest, intact
from smforge.bake.limits import JobLimits, gib_per_job, job_limits
from smforge.bake.logs import TargetLogs
from smforge.bake.progress import Progress
from smforge.bake.record import (
    RECORD_NAME,
    Artefact,
    AuditRecord,
    Result,
    RunRecord,
    TargetRecord,
    Tool,
    Tools,
    former_record,
)
from smforge.bake.rootfs import default_store, ensure_rootfs
from smforge.bake.runner import Outcome, run_bake
from smforge.bake.state import BuildState, Change
from smforge.bake.targets import target_records
from smforge.errors import (
    EXIT_PASS,
    BuildFailedError,
    InterruptedBuildError,
    SmforgeError,
    UnpublishableError,
)
from smforge.plan.document import cell_document
from smforge.plan.records import Cell
from smforge.workflow.results import (
    Audited,
    Auditor,
    Built,
    Completer,
    Foreseen,
    Foreseer,
    Lookahead,
)
from smforge.writing import write_whole

AUDIT_NAME = "audit.json"
IMAGE_AUDIT_NAME = "audit-image.json"
_NOTE_WIDTH = 100


@dataclass(frozen=True)
class Workshop:
    """Builds cells of one matrix on one engine, which is asked nothing before it is needed."""

    matrix: Path
    out: Path
    host: HostSettings
    audit: Auditor
    display: Callable[[Cell], Progress]
    foresee: Foreseer | None = None
    """Looks ahead before anything is compiled; needed unless `lookahead` is off."""
    lookahead: Lookahead = Lookahead.OFF
    policies: tuple[Path, ...] = ()
    """What preflight and the audit are told beside the matrix; a change of them counts."""
    complete: Completer = field(default=lambda _cell, _directory, _audited: None)
    """Adds to staged artefacts that have passed what says so, before they get their place."""
    jobs: int | None = None
    """Replaces the derived number of compiler jobs."""
    rootfs_store: Path = field(default_factory=default_store)
    """Where root file systems of bases from packages are kept."""
    sources_store: Path = field(default_factory=default_sources_store)
    """Where the sources of other projects are kept."""
    announce: Callable[[str], None] = field(default=lambda _text: None)
    """Is told what takes long outside of the engine."""
    explain: Callable[[str], None] = field(default=lambda _text: None)
    """Is told what is run, for those who want to know."""

    @property
    def root(self) -> Path:
        """The directory of the matrix, which holds docker-bake.hcl and docker/ too."""
        return self.matrix.resolve().parent

    @cached_property
    def engine(self) -> Engine:
        """The engine. Raises `EngineUnavailableError` when none answers."""
        return engines.inspect()

    def places(self, cell: Cell) -> CellPlaces:
        """Where everything of a cell lies."""
        return CellPlaces(self.out.resolve(), cell.variant, cell.platform)

    def call(self, cell: Cell, means: Means) -> BakeCall:
        """The bake call of a cell for a builder with these means."""
        limits = job_limits(means.cores, means.memory_bytes, gib_per_job(cell))
        if self.jobs is not None:
            limits = JobLimits(self.jobs, 1)
        places = self.places(cell)
        stores = (self.rootfs_store, self.sources_store)
        crossing = crossing_for(cell, means.native)
        return bake_call(cell, self.host, limits, places, self.matrix, *stores, crossing)

    def resolve(self, cell: Cell) -> tuple[BakeCall, Definition]:
        """The exact call and what bake makes of it, for an engine with the means of this host."""
        pages, page = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
        call = self.call(cell, Means(os.cpu_count() or 1, pages * page, (host_platform(),)))
        self.places(cell).logs.mkdir(parents=True, exist_ok=True)
        write_whole(call.override, call.override_text)
        return call, resolve_definition(call)

    def build(self, cell: Cell, *, force: bool = False) -> Built:
        """Build and audit a cell, unless its artefacts are up to date and `force` is not set.

        What fails is in the result's `error`, never raised, so that other cells can follow.
        """
        places = self.places(cell)
        try:
            digest = inputs_digest(cell, self.root, self.matrix, self.policies, self.host.checkout)
            record = None if force else up_to_date(places, digest)
            if record is not None and self.lookahead.is_content_with(record.preflight):
                return Built(cell, places, record, up_to_date=True)
            engine = self.engine
            crossing = crossing_for(cell, engine.means.native)
            _require_platform(engine, cell, crossing)
            _require_image_root(cell)
            with staging(places):
                # Before looking ahead, which examines what was fetched.
                if externals := externals_of(cell):
                    origin = self.host.origin
                    ensure_externals(externals, self.sources_store, origin, announce=self.announce)
                foreseen = self._look_ahead(cell, places)
                run = _Run(self, cell, places, engine, digest, foreseen)
                if foreseen is not None and foreseen.error is not None:
                    return run.stopped(foreseen.error)
                for rootfs in root_file_systems(cell, crossing).values():
                    ensure_rootfs(rootfs, self.rootfs_store, announce=self.announce)
                return run.carry_out()
        except SmforgeError as error:
            return Built(cell, places, None, error=error)
        except OSError as error:
            return Built(cell, places, None, error=_host_failure(error))

    def _look_ahead(self, cell: Cell, places: CellPlaces) -> Foreseen | None:
        """What preflight says; its reports lie beside the logs, whatever comes of the build."""
        for old in places.logs.glob("preflight-*.json"):
            old.unlink()
        if self.lookahead is Lookahead.OFF or self.foresee is None:
            return None
        foreseen = self.foresee(cell)
        for name, report in foreseen.reports.items():
            write_whole(places.logs / name, report)
        return foreseen


def up_to_date(places: CellPlaces, digest: str) -> RunRecord | None:
    """The record of artefacts that passed, were made from the same inputs and are unchanged."""
    record = former_record(places.final / RECORD_NAME)
    if record is None or not record.passed or record.inputs_sha256 != digest:
        return None
    return record if intact(record, places.final) else None


class _Run:
    """One build of one cell, from the bake call to the record."""

    def __init__(  # noqa: PLR0913, PLR0917  # what the build has found out by then
        self,
        workshop: Workshop,
        cell: Cell,
        places: CellPlaces,
        engine: Engine,
        digest: str,
        foreseen: Foreseen | None,
    ) -> None:
        self._workshop = workshop
        self._cell = cell
        self._places = places
        self._engine = engine
        self._digest = digest
        self._foreseen = foreseen
        self._started = datetime.now(UTC)
        self._call = workshop.call(cell, engine.means)
        self._artefacts: tuple[Artefact, ...] = ()

    def carry_out(self) -> Built:
        """Bake, audit, record and place."""
        places = self._places
        write_whole(self._call.override, self._call.override_text)
        places.metadata.unlink(missing_ok=True)
        self._workshop.explain(f"cd {self._call.root} && {self._call.text}")
        definition = resolve_definition(self._call)
        self._destinations = definition.destinations(self._call.root)
        outcome = self._bake(definition)
        if outcome.exit_code != 0 or outcome.interrupted is not None:
            return self._failed(outcome)
        if not any(path.is_file() for path in places.staging.rglob("*")):
            raise BuildFailedError(
                f"The build of {self._cell.variant} for {self._cell.platform} exported nothing.",
                remedy="Its targets in docker-bake.hcl need an output below OUT_DIR.",
            )
        audited = self._workshop.audit(self._cell, places.staging, self._foreseen)
        return self._finish(outcome, audited)

    def stopped(self, error: SmforgeError) -> Built:
        """Record that nothing was compiled, and why."""
        record = self._record((), "stopped", error.exit_code, error=str(error))
        write_whole(self._places.logs / RECORD_NAME, record.text)
        return Built(self._cell, self._places, record, error=error)

    def _bake(self, definition: Definition) -> Outcome:
        state = BuildState(definition.targets, began=self._started)
        with (
            TargetLogs(self._places.logs) as logs,
            self._workshop.display(self._cell) as progress,
        ):
            return run_bake(self._call, state, _Observers(logs, progress))

    def _failed(self, outcome: Outcome) -> Built:
        places = self._places
        error = failure(
            outcome,
            log_of=lambda target: shown(places.logs / f"{target}.log"),
            engine_answers=lambda: engines.client_answer() is not None,
        )
        result: Result = "interrupted" if isinstance(error, InterruptedBuildError) else "failed"
        targets = self._targets(outcome)
        record = self._record(targets, result, error.exit_code, error=str(error))
        write_whole(places.logs / RECORD_NAME, record.text)
        return Built(self._cell, places, record, error=error)

    def _finish(self, outcome: Outcome, audited: Audited) -> Built:
        places = self._places
        exit_code = audited.deciding.exit_code
        refusal = self._complete(audited) if exit_code == EXIT_PASS else None
        if refusal is not None:
            exit_code = refusal.exit_code
        passed = exit_code == EXIT_PASS
        result: Result = "passed" if passed else "rejected"
        self._artefacts = artefacts_in(places.staging)
        targets = self._targets(outcome)
        error = None if refusal is None else str(refusal)
        record = self._record(targets, result, exit_code, error=error, audited=audited)
        write_whole(places.staging / AUDIT_NAME, audited.report)
        if audited.image is not None:
            write_whole(places.staging / IMAGE_AUDIT_NAME, audited.image.report)
        for name, report in self._foreseen.reports.items() if self._foreseen else ():
            write_whole(places.staging / name, report)
        write_whole(places.staging / RECORD_NAME, record.text)
        write_whole(places.logs / RECORD_NAME, record.text)
        if passed:
            promote(places)
        else:
            reject(places, _rejection_note(audited, refusal))
        return Built(self._cell, places, record, error=refusal, audited=audited)

    def _complete(self, audited: Audited) -> UnpublishableError | None:
        """Complete what has passed the audit; why it may not be published all the same, if so."""
        try:
            self._workshop.complete(self._cell, self._places.staging, audited)
        except UnpublishableError as error:
            return error
        return None

    def _targets(self, outcome: Outcome) -> tuple[TargetRecord, ...]:
        return target_records(outcome.state, self._places, self._destinations)

    def _record(
        self,
        targets: tuple[TargetRecord, ...],
        result: Result,
        exit_code: int,
        *,
        error: str | None = None,
        audited: Audited | None = None,
    ) -> RunRecord:
        finished = datetime.now(UTC)
        return RunRecord(
            tool=Tool(name="smforge", version=__version__),
            result=result,
            exit_code=exit_code,
            error=error,
            started=self._started,
            finished=finished,
            seconds=round((finished - self._started).total_seconds(), 3),
            inputs_sha256=self._digest,
            plan=cell_document(self._cell),
            variables=dict(self._call.variables),
            command=self._call.argv,
            tools=Tools(
                engine=self._engine.version,
                buildx=self._engine.buildx,
                buildkit=self._engine.buildkit,
                builder=self._engine.builder,
                driver=self._engine.driver,
            ),
            checkout=checkout_of(self._call.root),
            preflight=self._foreseen.record if self._foreseen else None,
            targets=targets,
            artefacts=self._artefacts,
            audit=_audit_record(audited, AUDIT_NAME),
            image_audit=_audit_record(audited and audited.image, IMAGE_AUDIT_NAME),
        )


@dataclass(frozen=True, slots=True)
class _Observers:
    logs: TargetLogs
    progress: Progress

    def changed(self, state: BuildState, changes: tuple[Change, ...]) -> None:
        self.logs.write(changes)
        self.progress.changed(state, changes)


def _require_platform(engine: Engine, cell: Cell, crossing: Crossing | None) -> None:
    needed = crossing.build_platform if crossing and cell.image is None else cell.platform
    if engine.platforms and needed not in engine.platforms:
        raise BuildFailedError(
            f"The builder {engine.builder!r} cannot build {cell.platform} for {cell.variant}.",
            remedy="Choose a builder that can ('docker buildx use NAME'), register an emulator "
            "(Debian's qemu-user-static), or name another --platform.",
        )


def _require_image_root(cell: Cell) -> None:
    if cell.image is not None and "RUNTIME_ROOTFS_DIR" not in root_file_systems(cell):
        raise BuildFailedError(
            f"The image of {cell.variant} for {cell.platform} has nothing to start from: the "
            f"base comes from a registry ({cell.base.image}), and images start from packages.",
            remedy="Choose the base 'packages' for the variant, or leave its image out.",
        )


def _audit_record(audited: Audited | None, report: str) -> AuditRecord | None:
    if audited is None:
        return None
    return AuditRecord(
        verdict=audited.verdict,
        exit_code=audited.exit_code,
        findings=audited.findings,
        report=report,
        report_sha256=hashlib.sha256(audited.report.encode()).hexdigest(),
    )


def _rejection_note(audited: Audited, refusal: UnpublishableError | None) -> str:
    reports = AUDIT_NAME if audited.image is None else f"{AUDIT_NAME} or {IMAGE_AUDIT_NAME}"
    why = (
        f"The audit of these artefacts ended with {audited.deciding.verdict!r}: do not publish "
        "them."
        if refusal is None
        else f"These artefacts passed their audit and cannot be published: {refusal}"
    )
    return (
        f"{why}\nThe full report is {reports}, the record of the build {RECORD_NAME}.\n\n"
        f"{audited.deciding.table(_NOTE_WIDTH, False)}"
    )


def _host_failure(error: OSError) -> BuildFailedError:
    where = f" at {error.filename}" if error.filename else ""
    return BuildFailedError(
        f"The build's files cannot be written{where}: {error.strerror or error}.",
        remedy="Free space or choose another directory with --out, then run the same command "
        "again: it goes on from the cache.",
    )
