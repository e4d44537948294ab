"""Finds what `smforge build` has put in its place, passed and unchanged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from smforge.bake.record import RECORD_NAME, RunRecord, read_record
from smforge.errors import DamagedInputError, UsageError
from smforge.publish.wheels import Wheel, read_wheel


@dataclass(frozen=True, slots=True)
class Output:
    """The artefacts of one cell."""

    folder: Path
    record: RunRecord

    @property
    def variant(self) -> str:
        return str(self.record.plan["variant"])

    @property
    def platform(self) -> str:
        return str(self.record.plan["platform"])

    @property
    def cuda_tag(self) -> str:
        """``cu130``."""
        return str(self.record.plan["toolkit"]["tag"])

    def wheels(self) -> Iterator[Wheel]:
        """The wheels, read and hashed.

        Raises `DamagedInputError` for one that is not what the audit saw.
        """
        for artefact in self.record.artefacts:
            if not artefact.path.endswith(".whl"):
                continue
            path = self.folder / artefact.path
            if not path.is_file():
                raise DamagedInputError(
                    f"{path} is gone, though {RECORD_NAME} lists it.", remedy="Build it again."
                )
            wheel = read_wheel(path)
            if wheel.sha256 != artefact.sha256:
                raise DamagedInputError(
                    f"{path} is not the file that passed the audit.", remedy="Build it again."
                )
            yield wheel


def find_outputs(folders: Sequence[Path]) -> tuple[Output, ...]:
    """The cells that passed, below folders that `smforge build --out` wrote to.

    What was rejected lies elsewhere and its record says so; it is never found.
    Raises `UsageError` where there is no folder, or nothing that passed in it.
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
        record = read_record(path)
        if record is None or record.result != "passed" or record.audit is None:
            continue
        # The copy among the logs has no artefacts beside it.
        if record.audit.report and (path.parent / record.audit.report).is_file():
            yield Output(path.parent, record)
