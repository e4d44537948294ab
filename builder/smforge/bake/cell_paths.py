"""The paths of one cell, and how finished artefacts get to their final place.

Below ``out/VARIANT/`` (PLATFORM is ``linux-amd64``):

- ``PLATFORM/`` holds artefacts that were built whole and passed their audit, with their record;
- ``rejected/PLATFORM/`` holds artefacts whose audit found something, with a note;
- ``logs/PLATFORM/`` holds the logs, override, metadata and record of the last run, passed or not;
- ``.PLATFORM.partial/`` exists only while a build runs.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from smforge.bake.locks import NotFreeError, locked
from smforge.bake.record import RECORD_NAME, former_record
from smforge.errors import BuildFailedError

REJECTION_NOTE = "REJECTED.txt"
_LOGS = "logs"
_LOCK = re.compile(r"\.(?P<slug>.+)\.lock")
_UNFINISHED = re.compile(r"\..+\.jsonl?\.[a-z0-9_]{8}")
"""What `smforge.writing.write_whole` leaves where it is killed before its last step."""
_ENDING_SECONDS = 30.0
"""How long buildx may take to end after its smforge was killed. It holds the lock until then."""


@dataclass(frozen=True, slots=True)
class CellPaths:
    """The paths of one variant on one platform."""

    out: Path
    variant: str
    platform: str

    @property
    def slug(self) -> str:
        """The platform as one path component: ``linux-amd64``."""
        return self.platform.replace("/", "-")

    @property
    def _variant(self) -> Path:
        return self.out / self.variant

    @property
    def final(self) -> Path:
        """Artefacts that passed."""
        return self._variant / self.slug

    @property
    def rejected(self) -> Path:
        """Artefacts that did not."""
        return self._variant / "rejected" / self.slug

    @property
    def staging(self) -> Path:
        """Where bake writes; next to `final`, so that the last step is a rename."""
        return self._variant / f".{self.slug}.partial"

    @property
    def previous(self) -> Path:
        """Where the former artefacts wait while the new ones take their place."""
        return self._variant / f".{self.slug}.previous"

    @property
    def logs(self) -> Path:
        """Logs and records of the last run."""
        return self._variant / _LOGS / self.slug

    @property
    def override(self) -> Path:
        """The bake file with the cell's resolved variables."""
        return self.logs / "bake-override.json"

    @property
    def metadata(self) -> Path:
        """The metadata that buildx writes about its results."""
        return self.logs / "bake-metadata.json"

    @property
    def lock(self) -> Path:
        """Locked by the one build of this cell."""
        return self._variant / f".{self.slug}.lock"


@contextmanager
def staging(paths: CellPaths, wait_seconds: float = _ENDING_SECONDS) -> Iterator[int]:
    """An empty staging directory for the one build of this cell; it is removed at the end.

    A process that has one is waited for. The result is the descriptor of the lock, for buildx to
    inherit. Raises `BuildFailedError` when another process still builds the same cell, and
    `OSError` where nothing can be written.
    """
    try:
        paths.logs.mkdir(parents=True, exist_ok=True)
        with locked(paths.lock, wait_seconds) as descriptor:
            _recover(paths)
            paths.staging.mkdir()
            try:
                yield descriptor
            finally:
                shutil.rmtree(paths.staging, ignore_errors=True)
    except NotFreeError as error:
        raise BuildFailedError(
            f"Another smforge is building {paths.variant} for {paths.platform} in {paths.out}.",
            remedy="Wait for it, or build into another directory with --out.",
        ) from error


def recover(out: Path) -> None:
    """Undo what killed runs left in an output directory, but for cells that are being built."""
    for lock in sorted(out.glob("*/.*.lock")):
        found = _LOCK.fullmatch(lock.name)
        paths = CellPaths(out, lock.parent.name, found["slug"]) if found else None
        # Another program's lock has no logs of ours beside it.
        if paths is None or not paths.logs.is_dir():
            continue
        try:
            with locked(lock):
                _recover(paths)
        except NotFreeError:
            continue
    _remove_unfinished(out)


def promote(paths: CellPaths) -> None:
    """Put the staged artefacts in their final place, instead of the former ones."""
    if paths.final.exists():
        paths.final.replace(paths.previous)
    paths.staging.replace(paths.final)
    shutil.rmtree(paths.previous, ignore_errors=True)
    shutil.rmtree(paths.rejected, ignore_errors=True)


def reject(paths: CellPaths, reason: str) -> None:
    """Move the staged artefacts to the rejected ones, where people can examine them and nothing
    uses them.
    """
    note = paths.staging / REJECTION_NOTE
    note.write_text(reason.rstrip() + "\n", encoding="utf-8")
    shutil.rmtree(paths.rejected, ignore_errors=True)
    paths.rejected.parent.mkdir(parents=True, exist_ok=True)
    paths.staging.replace(paths.rejected)


def is_log(path: Path) -> bool:
    """Whether a file is in a folder that `CellPaths.logs` gives for a cell."""
    return path.parent.parent.name == _LOGS


def is_unfinished(folder: Path) -> bool:
    """Whether a folder is one in which a run, going on or killed, moves artefacts about."""
    return folder.name.startswith(".") and folder.suffix in {".partial", ".previous"}


def shown(path: Path) -> Path:
    """`path` relative to the current directory, if it is below it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _recover(paths: CellPaths) -> None:
    """Undo the changes of a run that was killed between any two of its steps."""
    shutil.rmtree(paths.staging, ignore_errors=True)
    if paths.previous.exists():
        if paths.final.exists():
            shutil.rmtree(paths.previous)
        else:
            paths.previous.replace(paths.final)
    if paths.rejected.exists() and _is_outdated(paths):
        shutil.rmtree(paths.rejected)
    _remove_unfinished(paths.logs)


def _is_outdated(paths: CellPaths) -> bool:
    """Whether artefacts passed after these were rejected, or part of these is removed."""
    if not (paths.rejected / REJECTION_NOTE).is_file():
        return True
    records = [former_record(place / RECORD_NAME) for place in (paths.final, paths.rejected)]
    passed, rejected = records
    return bool(passed and rejected and passed.finished > rejected.finished)


def _remove_unfinished(directory: Path) -> None:
    for file in directory.glob(".*"):
        if _UNFINISHED.fullmatch(file.name):
            file.unlink(missing_ok=True)
