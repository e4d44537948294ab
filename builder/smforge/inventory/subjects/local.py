"""Subjects that are plain files of the host: a folder, or one file."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from types import TracebackType
from typing import Self

from smforge.errors import DamagedInputError, UsageError
from smforge.inventory.formats.blob import Blob, FileBlob
from smforge.inventory.formats.limits import Limits
from smforge.inventory.native.reader import is_misnamed, may_hold_code, read_file
from smforge.inventory.options import ReadOptions
from smforge.inventory.records import Damage, Subject, SubjectKind
from smforge.inventory.subjects.members import HEAD_BYTES, Member

_FORMATS = {
    ".so": "a library",
    ".cubin": "a cubin",
    ".fatbin": "a fatbin",
    ".a": "a static archive",
    ".o": "an object file",
    ".whl": "a wheel",
}
"""What a file's name claims it to be."""
_COMPILED = (".so", ".cubin", ".fatbin", ".ptx", ".a")


class _LocalSubject:
    """What folders and files have in common."""

    subject: Subject

    def __init__(self) -> None:
        self._damage: list[Damage] = []

    @property
    def damage(self) -> tuple[Damage, ...]:
        return tuple(self._damage)

    def paths_of(self, member: Member) -> tuple[str, ...]:
        return (member.path,)

    def resolve(self, path: str) -> str | None:
        return path

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None


class TreeSubject(_LocalSubject):
    """A folder. Symbolic links are not followed: no file is read twice, none from outside.

    What the folder needs and does not hold, GPU code behind a link that leads out of it or within
    a wheel that lies in it, is damage: nothing is known of it.
    """

    def __init__(self, root: str, limits: Limits) -> None:
        super().__init__()
        self._root = root
        self._limits = limits
        self._real = os.path.realpath(self._root)
        self.subject = Subject(
            SubjectKind.TREE, path_text(os.path.basename(self._real)) or "/", None
        )

    def members(self) -> Iterator[Member]:
        start = len(os.path.join(self._root, ""))
        for count, path in enumerate(self._walk(), start=1):
            self._limits.check_members(count, self._root)
            relative = path[start:].replace(os.sep, "/")
            try:
                status = os.lstat(path)
                if not stat.S_ISREG(status.st_mode):
                    if stat.S_ISLNK(status.st_mode):
                        self._check_link(path, relative)
                    continue
                if path.endswith(".whl"):
                    self._check_wheel(path)
                head = _head(path)
            except OSError as error:
                self._unreadable(error)
                continue
            yield Member(path_text(relative), status.st_size, partial(_open, path), head)

    def _walk(self) -> Iterator[str]:
        for folder, folders, files in os.walk(self._root, onerror=self._unreadable):
            folders.sort()
            for name in folders:
                path = os.path.join(folder, name)
                if os.path.islink(path) and self._leads_out(path):
                    self._miss(path, "It is a link to a folder outside, which was not read.")
            for name in sorted(files):
                yield os.path.join(folder, name)

    def _check_link(self, path: str, relative: str) -> None:
        """A link inwards leads to what is read anyway, and most outwards to no GPU code."""
        if not self._leads_out(path) or not os.path.isfile(path):
            return
        try:
            with _open(path) as blob:
                found = read_file(relative, blob, ReadOptions(names=False, digests=False))
        except DamagedInputError as error:
            self._miss(path, error.message)
            return
        if found is not None:
            self._miss(path, "It is a link to GPU code outside the folder, which was not read.")

    def _check_wheel(self, path: str) -> None:
        # Loaded where there is a wheel: few folders have any.
        from smforge.inventory.formats.zip_directory import read_directory  # noqa: PLC0415

        try:
            with _open(path) as blob:
                names = [entry.name for entry in read_directory(blob, self._limits).entries]
        except DamagedInputError as error:
            self._miss(path, error.message)
            return
        if any(name.endswith(_COMPILED) for name in names):
            self._miss(path, "It is a wheel with compiled code: audit it as a subject of its own.")

    def _leads_out(self, path: str) -> bool:
        # Not Path.resolve: that raises where links go in a circle.
        real = os.path.realpath(path)
        return os.path.commonpath([self._real, real]) != self._real

    def _miss(self, path: str, message: str) -> None:
        relative = os.path.relpath(path, self._root)
        self._damage.append(Damage(path_text(relative), message))

    def _unreadable(self, error: OSError) -> None:
        path = os.path.relpath(error.filename or self._root, self._root)
        self._damage.append(Damage(path_text(path), f"It cannot be read: {error.strerror}."))


class FileSubject(_LocalSubject):
    """One file: a library, an object file, a static archive, a cubin, a fatbin or PTX."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path
        self._name = os.path.basename(path)
        self.subject = Subject(SubjectKind.FILE, path_text(self._name), None)

    def members(self) -> Iterator[Member]:
        try:
            head = _head(self._path)
            size = os.stat(self._path).st_size
        except OSError as error:
            raise unreadable(self._path, error) from error
        if not size:
            raise DamagedInputError(f"{self._path} is empty.", remedy="Copy or download it again.")
        claim = _FORMATS.get(os.path.splitext(self._name)[1])
        if claim is not None and (
            not may_hold_code(self._name, head) or is_misnamed(self._name, head)
        ):
            raise DamagedInputError(
                f"{self._path} is named like {claim}, but its content is something else.",
                remedy="Copy or download it again.",
            )
        opened = partial(_open, self._path)
        yield Member(path_text(self._name), size, opened, head, only=True)


def unreadable(path: str, error: OSError) -> UsageError:
    """Say why a file of the host cannot be opened."""
    return UsageError(f"{path} cannot be read: {error.strerror or error}.")


def _open(path: str) -> AbstractContextManager[Blob]:
    try:
        return FileBlob.from_path(path)
    except OSError as error:
        raise DamagedInputError(f"It cannot be opened: {error.strerror or error}.") from error


def _head(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        return os.pread(fd, HEAD_BYTES, 0)
    finally:
        os.close(fd)


def path_text(path: str) -> str:
    """A file name need not be text; a report must be."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
