"""Takes the inventory of one subject."""

from __future__ import annotations

import time
from contextlib import closing

from smforge.errors import DamagedInputError
from smforge.inventory.background_reader import BackgroundReader, ReadFile
from smforge.inventory.formats.blob import Blob
from smforge.inventory.native.reader import may_hold_code, read_file
from smforge.inventory.options import ReadOptions
from smforge.inventory.records import Damage, FileInventory, Inventory, Subject, SubjectKind
from smforge.inventory.subjects.base import OpenSubject
from smforge.inventory.subjects.members import Member
from smforge.inventory.subjects.opening import open_unpacked

__all__ = ["ReadFile", "ReadOptions", "read_file", "survey", "take_inventory"]


def take_inventory(argument: str, options: ReadOptions | None = None) -> Inventory:
    """List every code object of the subject that `argument` names.

    Raises `UsageError` where it does not exist and `DamagedInputError` where its members cannot
    be listed. Members that cannot be read become `Damage`, and the others are still read.
    """
    options = options or ReadOptions()
    with open_unpacked(argument, options) as subject:
        return survey(subject, options)


def survey(subject: OpenSubject, options: ReadOptions, read: ReadFile = read_file) -> Inventory:
    """Read every member of an open subject, with `read` where it may hold GPU code."""
    found: list[tuple[Member, FileInventory]] = []
    broken: list[tuple[Member, Damage]] = []
    examined = 0
    with closing(BackgroundReader(_Bounded(read), options)) as reader:
        options.progress.task(
            "reading", lambda: subject.stored() or (reader.passed_bytes, subject.whole())
        )
        for member in subject.members():
            examined += 1
            if member.head is None or may_hold_code(member.path, member.head):
                reader.take(member)
            else:
                reader.leave(member)
        for member, outcome in reader.outcomes():
            if isinstance(outcome, DamagedInputError):
                broken.append((member, Damage(member.path, str(outcome))))
            elif outcome is not None:
                found.append((member, outcome))
    files = tuple(
        file if path == file.path else file.at(path)
        for member, file in found
        for path in subject.paths_of(member)
    )
    files = tuple(sorted(files, key=lambda file: file.path))
    damage = tuple(
        item._replace(path=path) for member, item in broken for path in subject.paths_of(member)
    )
    return Inventory(
        subject=_identity(subject.subject, files, options),
        files=files,
        examined=examined,
        damage=subject.damage + tuple(sorted(damage, key=lambda item: item.path)),
    )


class _Bounded:
    """Reads files until those of one subject have too many kernels together, or take too long.

    What is not read then is damage of each file.
    """

    def __init__(self, read: ReadFile) -> None:
        self._read = read
        self._names: set[str] = set()
        self._listed = 0
        self._started = time.monotonic()

    def __call__(self, path: str, blob: Blob, options: ReadOptions) -> FileInventory | None:
        limits = options.limits
        limits.check_subject_seconds(time.monotonic() - self._started)
        limits.check_subject_kernels(len(self._names), self._listed)
        found = self._read(path, blob, options)
        if found is not None:
            for region in found.regions:
                for code in region.objects:
                    if code.kernels:
                        self._names.update(code.kernels)
                        self._listed += len(code.kernels)
            limits.check_subject_kernels(len(self._names), self._listed)
        return found


def _identity(subject: Subject, files: tuple[FileInventory, ...], options: ReadOptions) -> Subject:
    """Complete the digest of subjects that are known only by what was read."""
    if subject.digest is not None or not options.digests:
        return subject
    if subject.kind is SubjectKind.FILE:
        digest = files[0].sha256 if files else None
    elif subject.kind is SubjectKind.TREE:
        import hashlib  # noqa: PLC0415 - OpenSSL loads slowly

        lines = "".join(f"{file.sha256}  {file.path}\n" for file in files)
        digest = hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()
    else:
        return subject
    return subject._replace(digest=f"sha256:{digest}" if digest else None)
