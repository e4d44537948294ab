"""Copies a cell's verified result from one output directory to another, and verifies the copy."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from smforge.bake.artefacts import changes
from smforge.bake.record import RECORD_NAME, RunRecord
from smforge.errors import DamagedInputError
from smforge.files import sha256_of
from smforge.publish.outputs import require_report


def copy_verified(record: RunRecord, source: Path, target: Path) -> None:
    """Copy artefacts, reports and record to `target`, and compare the copies with the record.

    Raises `DamagedInputError` for a file that cannot be copied or is not as recorded; what was
    copied until then is left to the caller.
    """
    names = (*(one.path for one in record.artefacts), *sorted(record.reports), RECORD_NAME)
    for name in names:
        _copy_file(source / name, target / name)
    require_as_recorded(record, target, source)


def require_as_recorded(record: RunRecord, folder: Path, source: object) -> None:
    """Compare the files in `folder` with their record: digests, other files, verdicts of audits.

    Raises `DamagedInputError`, which names `source`, for whatever is not as recorded.
    """
    for problem in (*changes(record, folder), *_other_reports(record, folder)):
        raise DamagedInputError(
            f"{source}: {problem}", remedy="Build the cell again where it was built."
        )
    for audit in (record.audit, record.image_audit):
        if audit is not None:
            require_report(audit, folder)


def _copy_file(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copy2(source, target)
    except OSError as error:
        raise DamagedInputError(
            f"{source} cannot be copied: {error.strerror or error}.",
            remedy="Build the cell again where it was built, or make room.",
        ) from error


def _other_reports(record: RunRecord, folder: Path) -> Iterator[str]:
    """The reports that are not those that the record names by digest."""
    audits = [one for one in (record.audit, record.image_audit) if one is not None]
    foreseen = record.preflight.components if record.preflight is not None else ()
    named = [(one.report, one.report_sha256) for one in audits]
    named += [(one.report, one.report_sha256) for one in foreseen]
    for name, digest in named:
        if name is not None and (digest is None or sha256_of(folder / name) != digest):
            yield f"{name} is not the report that was recorded."
