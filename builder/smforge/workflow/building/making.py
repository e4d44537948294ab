"""Makes one cell from end to end: fetch, preflight, bake, audit, record, place.

Bake writes to a staging directory. What passes its audit gets its place from there in one step.
"""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

from smforge.bake.artefacts import artefacts_in
from smforge.bake.baking import Baked, bake
from smforge.bake.cell_call import made_before
from smforge.bake.cell_paths import CellPaths, promote, reject, shown, staging
from smforge.bake.diagnosis import failure
from smforge.bake.host import engine as engines
from smforge.bake.host.crossing import Crossing, builder_platform, crossing_for
from smforge.bake.host.engine import Engine
from smforge.bake.host.other_platforms import cannot_build
from smforge.bake.inputs.externals import ensure_externals, externals_of
from smforge.bake.inputs.published import ensure_published
from smforge.bake.inputs.rootfs import ensure_rootfs, root_file_systems
from smforge.bake.known_digests import KnownDigests
from smforge.bake.record import RECORD_NAME, Result
from smforge.errors import BuildFailedError, InterruptedBuildError, SmforgeError, UnpublishableError
from smforge.plan.records import Cell
from smforge.publish.images import LAYOUT
from smforge.publish.limits import Limits, require_within
from smforge.report.build import to_json
from smforge.workflow.building.bake_calls import call_for, say_what_is_not_known
from smforge.workflow.building.freshness import Freshness
from smforge.workflow.building.look_ahead import look_ahead
from smforge.workflow.building.recording import Run, audit_record
from smforge.workflow.building.results import AUDIT_PAGE, Built, CellAudit, LookAhead
from smforge.workflow.building.room import require_room_for
from smforge.workflow.building.settings import BuildSettings
from smforge.workflow.building.summary import audit_table
from smforge.writing import write_whole

REPORT_NAMES = ("audit.json", "audit-image.json")
"""The files of the reports on the artefacts and on the image."""
_NOTE_WIDTH = 100
_EPOCH = "SOURCE_DATE_EPOCH"


def make(
    settings: BuildSettings, engine: Engine, cell: Cell, paths: CellPaths, found: Freshness
) -> Built:
    """Build and audit a cell, whatever `found` says of its last verified result.

    Raises `SmforgeError` where it failed before there was anything to record, and `OSError`.
    """
    crossing = crossing_for(cell, engine.native)
    _require_platform(engine, cell, crossing)
    _require_image_root(cell)
    _require_image_store(engine, cell)
    compiling = crossing.build_platform if crossing else cell.platform
    require_room_for(settings, cell, engine.machines_for(compiling), found.former)
    means = engine.means(compiling)
    say_what_is_not_known(settings, cell, engine, means)
    settings = settings.for_driver(engine.driver)
    with staging(paths) as lock:
        (paths.logs / AUDIT_PAGE).unlink(missing_ok=True)  # It would be of another build.
        # This is before preflight, which examines the fetched sources.
        settings.messages.stage(cell.title, "preparing")
        _fetch_sources(settings, cell)
        if settings.look_ahead is not LookAhead.OFF:
            settings.messages.stage(cell.title, "preflight")
        predicted = look_ahead(settings, cell)
        call = call_for(_possible(settings, engine), cell, means)
        run = Run(datetime.now(UTC), cell, call, engine, found.inputs, predicted)
        if predicted is not None and predicted.error is not None:
            return _not_built(run, paths, "stopped", predicted.error)
        _make_root_file_systems(settings, cell, crossing)
        settings.messages.explain(f"cd {call.root} && {call.text}")
        progress = settings.messages.progress(cell.title)
        with ThreadPoolExecutor(1) as pool:
            # Loading takes longer than the audit of a small wheel, so it is done while buildx runs.
            pool.submit(import_module, "smforge.workflow.building.auditing")
            baked = bake(call, paths, run.began, progress, lock)
        if not baked.succeeded:
            return _failed(run, paths, baked)
        _require_artefacts(cell, paths.staging)
        settings.messages.stage(cell.title, "auditing")
        from smforge.workflow.building.auditing import audit_cell  # noqa: PLC0415  # defers verdict

        audit = audit_cell(settings, cell, paths.staging, predicted)
        return _placed(run, paths, baked, audit)


def _fetch_sources(settings: BuildSettings, cell: Cell) -> None:
    """Fetch the sources of other projects and the published wheels that are not there yet."""
    origin, announce = settings.origin, settings.messages.announce
    if ensure_published(cell, settings.published_store, origin, announce=announce):
        made_before(cell).mkdir(parents=True, exist_ok=True)
    if externals := externals_of(cell):
        ensure_externals(externals, settings.sources_store, origin, announce=announce)


def _make_root_file_systems(settings: BuildSettings, cell: Cell, crossing: Crossing | None) -> None:
    for rootfs in root_file_systems(cell, crossing).values():
        ensure_rootfs(rootfs, settings.rootfs_store, announce=settings.messages.announce)


def _possible(settings: BuildSettings, engine: Engine) -> BuildSettings:
    """The settings without caches of layers that the builder would refuse the whole build for."""
    host = settings.host
    usable = host.caches.for_driver(engine.caching_driver)
    if usable == host.caches:
        return settings
    settings.messages.announce(
        f"caches of layers are left out that the builder {engine.builder} (driver "
        f"{engine.caching_driver}) does not know: docs/building.md"
    )
    return replace(settings, host=replace(host, caches=usable))


def _failed(run: Run, paths: CellPaths, baked: Baked) -> Built:
    error = failure(
        baked.outcome,
        log_of=lambda target: shown(paths.logs / f"{target}.log"),
        engine_answers=lambda: engines.answers(run.engine),
    )
    result: Result = "interrupted" if isinstance(error, InterruptedBuildError) else "failed"
    return _not_built(run, paths, result, error, baked)


def _not_built(
    run: Run, paths: CellPaths, result: Result, error: SmforgeError, baked: Baked | None = None
) -> Built:
    """Record among the logs that there are no artefacts, and why."""
    targets = baked.targets(paths) if baked is not None else ()
    record = run.record(result, error.exit_code, error=str(error), targets=targets)
    write_whole(paths.logs / RECORD_NAME, record.text)
    return Built(run.cell, paths, record, error=error)


def _placed(run: Run, paths: CellPaths, baked: Baked, audit: CellAudit) -> Built:
    """Record what was built and audited, and give it its place."""
    passed = audit.deciding.verdict == "pass"
    refusal = _completed(run.cell, paths.staging, audit) if passed else None
    exit_code = audit.exit_code if refusal is None else refusal.exit_code
    known = KnownDigests.of(paths.final)
    artefacts = artefacts_in(paths.staging, known.below(paths.staging))
    targets = baked.targets(paths)
    texts = [to_json(report) for report in audit.reports]
    record = run.record(
        "passed" if exit_code == 0 else "rejected",
        exit_code,
        error=None if refusal is None else str(refusal),
        targets=targets,
        artefacts=artefacts,
        audits=tuple(map(audit_record, audit.reports, REPORT_NAMES, texts)),
    )
    files = dict(zip(REPORT_NAMES, texts, strict=False)) | {RECORD_NAME: record.text}
    if run.predicted is not None:
        files |= run.predicted.reports
    for name, text in files.items():
        write_whole(paths.staging / name, text)
    write_whole(paths.logs / RECORD_NAME, record.text)
    if exit_code == 0:
        promote(paths)
        known.keep()
    else:
        reject(paths, _rejection_note(audit, refusal))
    return Built(run.cell, paths, record, error=refusal, audit=audit)


def complete(cell: Cell, directory: Path, audit: CellAudit) -> None:
    """Annotate the layout of a cell that has passed, and add its SBOM and the report.

    Raises `UnpublishableError` where a wheel is too large for the index it is built for.
    """
    wheels = ((path.name, path.stat().st_size) for path in sorted(directory.rglob("*.whl")))
    require_within(Limits(wheel_mb=cell.toolkit.wheel_mb), cell.toolkit.tag, wheels)
    folder = directory / LAYOUT
    if cell.image is None or not folder.is_dir():
        return
    from smforge.publish.contents import (  # noqa: PLC0415  # defers inventory
        bill_of_materials,
        wheel_digests,
    )
    from smforge.publish.finish import finish  # noqa: PLC0415  # defers oci

    created = datetime.fromtimestamp(int(cell.variables[_EPOCH]), UTC)
    describe = functools.partial(
        bill_of_materials, created=created, wheels=wheel_digests(directory)
    )
    about = audit.image or audit.artefacts
    finish(folder, to_json(about), about.verdict, created, describe)


def _completed(cell: Cell, directory: Path, audit: CellAudit) -> UnpublishableError | None:
    """Complete what passed the audit; the result is the reason if it cannot be published anyway."""
    try:
        complete(cell, directory, audit)
    except UnpublishableError as error:
        return error
    return None


def _require_platform(engine: Engine, cell: Cell, crossing: Crossing | None) -> None:
    if engine.platforms and builder_platform(cell, crossing) not in engine.platforms:
        message, remedy = cannot_build(engine.builder, cell)
        raise BuildFailedError(message, remedy=remedy)


def _require_image_root(cell: Cell) -> None:
    if cell.image is not None and "RUNTIME_ROOTFS_DIR" not in root_file_systems(cell):
        raise BuildFailedError(
            f"The image of {cell.variant} for {cell.platform} has nothing to start from: the "
            f"base comes from a registry ({cell.base.image}), and images start from packages.",
            remedy="Choose the base 'packages' for the variant, or leave its image out.",
        )


def _require_image_store(engine: Engine, cell: Cell) -> None:
    """Raise `BuildFailedError` where the docker driver cannot write the cell's image."""
    if cell.image is None or engine.driver != "docker":
        return
    if any(one.containerd_store is False for one in engine.machines):
        raise BuildFailedError(
            f"The builder {engine.builder!r} cannot write the image of {cell.variant}: its engine "
            "keeps images in a store of its own, which has no OCI output.",
            remedy='Set {"features": {"containerd-snapshotter": true}} in the engine\'s '
            "daemon.json, or make a builder that needs no such store ('smforge builder init').",
        )


def _require_artefacts(cell: Cell, directory: Path) -> None:
    if not any(path.is_file() for path in directory.rglob("*")):
        raise BuildFailedError(
            f"The build of {cell.variant} for {cell.platform} exported nothing.",
            remedy="Its targets in docker-bake.hcl need an output below OUT_DIR.",
        )


def _rejection_note(audit: CellAudit, refusal: UnpublishableError | None) -> str:
    reports = " or ".join(REPORT_NAMES[: len(audit.reports)])
    deciding = audit.deciding
    why = (
        f"The audit of these artefacts ended with {deciding.verdict!r}: do not publish them."
        if refusal is None
        else f"These artefacts passed their audit and cannot be published: {refusal}"
    )
    return (
        f"{why}\nThe full report is {reports}, the record of the build {RECORD_NAME}.\n\n"
        f"{audit_table(deciding, width=_NOTE_WIDTH, color=False)}"
    )
