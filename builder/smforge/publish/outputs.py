"""Finds outputs of `smforge build` that passed and are unchanged."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from smforge.bake.cell_paths import is_log, is_unfinished
from smforge.bake.record import (
    MOST_BYTES,
    RECORD_NAME,
    AuditRecord,
    RecordedCell,
    RunRecord,
    parse_record,
    recorded_cell,
)
from smforge.errors import DamagedInputError, UsageError, first_problem
from smforge.files import read_small
from smforge.publish.wheels import Wheel, read_wheel

_MOST_REPORT_BYTES = 1 << 30
_BUILD_AGAIN = "Build it again."


class _Report(BaseModel):
    """The parts of a saved report that are compared with the record."""

    model_config = ConfigDict(frozen=True)

    schema_version: Literal[1]
    verdict: Literal["pass"]


@dataclass(frozen=True, slots=True)
class Output:
    """The artefacts of one cell."""

    folder: Path
    record: RunRecord
    cell: RecordedCell

    @property
    def variant(self) -> str:
        return self.cell.variant

    @property
    def platform(self) -> str:
        return self.cell.platform

    @property
    def cuda_tag(self) -> str:
        """``cu130``."""
        return self.cell.toolkit.tag

    def wheels(self) -> Iterator[Wheel]:
        """The wheels, read and hashed.

        Raises `DamagedInputError` for one that is not what the audit saw.
        """
        for artefact in self.record.artefacts:
            if not artefact.path.endswith(".whl"):
                continue
            path = self.folder / artefact.path
            _require_below(path, self.folder)
            wheel = read_wheel(path)
            if wheel.sha256 != artefact.sha256:
                raise DamagedInputError(
                    f"{path} is not the file that passed the audit.", remedy=_BUILD_AGAIN
                )
            yield wheel


def find_outputs(folders: Sequence[Path]) -> tuple[Output, ...]:
    """The cells that passed, below folders that `smforge build --out` wrote to.

    Rejected artefacts are in another folder and their record says so; they are never found. Raises
    `UsageError` where there is no folder, or nothing that passed in it, and `DamagedInputError` for
    a record that cannot be read, that contradicts itself, or whose report is missing or is another
    one.
    """
    found = [output for folder in folders for output in _below(folder)]
    if not found:
        raise UsageError(
            f"Nothing that passed its audit lies in {', '.join(map(str, folders))}.",
            remedy="Run smforge build first, or name the directory that its --out named.",
        )
    return tuple(found)


def _below(folder: Path) -> Iterator[Output]:
    if not folder.is_dir():
        raise UsageError(f"{folder} is no directory.")
    for path in sorted(folder.rglob(RECORD_NAME)):
        # The copy among the logs has no artefacts next to it; others have not got their place.
        if is_log(path) or is_unfinished(path.parent):
            continue
        record = parse_record(_content(path, MOST_BYTES), path)
        if record.result != "passed":
            continue
        if record.contradiction is not None:
            raise DamagedInputError(
                f"{path} says 'passed', but {record.contradiction}.", remedy=_BUILD_AGAIN
            )
        for audit in (record.audit, record.image_audit):
            if audit is not None:
                require_report(audit, path.parent)
        yield Output(path.parent, record, recorded_cell(record, path))


def _content(path: Path, most: int) -> bytes:
    try:
        return read_small(path, most)
    except OSError as error:
        raise DamagedInputError(f"{path} cannot be read: {error.strerror or error}.") from error


def require_report(audit: AuditRecord, folder: Path) -> None:
    """Compare the report next to a record with what the record says of it.

    Raises `DamagedInputError` where it is missing, another one, or about an audit that has not
    passed.
    """
    if audit.report is None:
        raise DamagedInputError(
            f"{folder / RECORD_NAME} names no report of its audit.", remedy=_BUILD_AGAIN
        )
    path = folder / audit.report
    _require_below(path, folder)
    data = _content(path, _MOST_REPORT_BYTES)
    if audit.report_sha256 not in {None, hashlib.sha256(data).hexdigest()}:
        raise DamagedInputError(
            f"{path} is not the report that {RECORD_NAME} names.", remedy=_BUILD_AGAIN
        )
    try:
        _Report.model_validate_json(data)
    except ValidationError as error:
        place, problem = first_problem(error)
        raise DamagedInputError(
            f"{path} is no report of an audit that passed: at {place or 'its beginning'}, "
            f"{problem}.",
            remedy=_BUILD_AGAIN,
        ) from error


def _require_below(path: Path, folder: Path) -> None:
    """Refuse a recorded file that is gone, or that a symbolic link leads to somewhere else."""
    if not path.is_file():
        raise DamagedInputError(
            f"{path} is gone, though {RECORD_NAME} lists it.", remedy=_BUILD_AGAIN
        )
    if path.resolve() != folder.resolve() / path.relative_to(folder):
        raise DamagedInputError(f"{path} is a link, not a file of the build.", remedy=_BUILD_AGAIN)
