"""One file as a subject: a library, an object file, a static archive, a cubin, a fatbin or PTX."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial

from smforge.errors import DamagedInputError, UsageError
from smforge.files import open_regular
from smforge.inventory.formats.blob import HEAD_BYTES, Blob, FileBlob
from smforge.inventory.native.promised import is_misnamed
from smforge.inventory.native.reader import may_hold_code
from smforge.inventory.records import Subject, SubjectKind
from smforge.inventory.subjects.base import OpenSubject
from smforge.inventory.subjects.members import Member, path_text

LIBRARIES = {
    ".so": "a library",
    ".cubin": "a cubin",
    ".fatbin": "a fatbin",
    ".a": "a static archive",
    ".o": "an object file",
}
_FORMATS = {
    **LIBRARIES,
    ".whl": "a wheel",
    ".zip": "a zip archive",
    ".conda": "a conda package",
    ".tar": "a tar archive",
    ".gz": "a gzip file",
    ".tgz": "a gzip file",
    ".bz2": "a bzip2 file",
    ".xz": "an xz file",
    ".zst": "a zstd file",
    ".deb": "a Debian package",
}
"""The kind of file that a name suggests."""


class FileSubject(OpenSubject):
    """One file that is no archive."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._name = os.path.basename(path)

    def whole(self) -> int | None:
        return os.path.getsize(self._path)

    @property
    def subject(self) -> Subject:
        return Subject(SubjectKind.FILE, path_text(self._name), None)

    def members(self) -> Iterator[Member]:
        """Yield the file. Raises `DamagedInputError` where it is not what its name says."""
        try:
            head, size = head_of(self._path)
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
        opened = partial(open_member, self._path)
        yield Member(path_text(self._name), size, opened, head, only=True)


def unreadable(path: str, error: OSError) -> UsageError:
    """Return a message that says why a file of the host cannot be opened."""
    return UsageError(f"{path} cannot be read: {error.strerror or error}.")


def open_member(path: str) -> AbstractContextManager[Blob]:
    """Open a file of the host as a member. Raises `DamagedInputError` where that fails."""
    try:
        return FileBlob(open_regular(path))
    except OSError as error:
        raise DamagedInputError(f"It cannot be opened: {error.strerror or error}.") from error


def head_of(path: str) -> tuple[bytes, int]:
    """Return the first bytes of a regular file and its size. Raises `OSError`."""
    fd = open_regular(path)
    try:
        return os.pread(fd, HEAD_BYTES, 0), os.fstat(fd).st_size
    finally:
        os.close(fd)
