"""The files that a build exported: their list, and whether they are unchanged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from smforge.bake.record import RECORD_NAME, Artefact, RunRecord
from smforge.files import sha256_of

_IGNORED_DIRECTORIES = frozenset({"__pycache__", ".git"})


Digest = Callable[[Path], str]
"""Gives the SHA-256 of a file."""


def artefacts_in(directory: Path, digest: Digest = sha256_of) -> tuple[Artefact, ...]:
    """Every file below `directory` with its digest."""
    return tuple(
        Artefact(
            path=file.relative_to(directory).as_posix(),
            sha256=digest(file),
            size=file.stat().st_size,
        )
        for file in files_below(directory)
    )


def intact(record: RunRecord, directory: Path) -> bool:
    """Whether `directory` holds the recorded artefacts with their digests, and no other file.

    The record itself and the reports that it names are there too.
    """
    return next(changes(record, directory), None) is None


def changes(record: RunRecord, directory: Path, digest: Digest = sha256_of) -> Iterator[str]:
    """What in `directory` is not as its record says: a sentence for each file."""
    recorded = {artefact.path for artefact in record.artefacts}
    known = recorded | record.reports | {RECORD_NAME}
    for file in files_below(directory):
        path = file.relative_to(directory).as_posix()
        if path not in known:
            yield f"{path} is there and not in the record."
    for artefact in record.artefacts:
        if reason := _change(artefact, directory / artefact.path, digest):
            yield f"{artefact.path} {reason}."


def _change(artefact: Artefact, file: Path, digest: Digest) -> str | None:
    try:
        same = file.stat().st_size == artefact.size and digest(file) == artefact.sha256
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    return None if same else "is not the file that was recorded"


def files_below(directory: Path) -> Iterator[Path]:
    """Every file below a directory, by path, without those of git and of Python's cache."""
    for path in sorted(directory.rglob("*")):
        inside = path.relative_to(directory).parts
        if path.is_file() and not _IGNORED_DIRECTORIES.intersection(inside):
            yield path
