"""The files of a subject, one after the other, and temporary storage for streamed bytes."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from smforge.errors import DamagedInputError, ToolError
from smforge.files import require_room
from smforge.inventory.formats.blob import HEAD_BYTES, Blob, BytesBlob, FileBlob

if TYPE_CHECKING:
    from smforge.inventory.archives.part_reader import ByteReader

_ELSEWHERE = "set TMPDIR to another folder"
_IN_MEMORY_BYTES = 4 << 20
"""Streamed files up to this size are kept in memory, not in a temporary file."""


class Member(NamedTuple):
    """One regular file of a subject."""

    path: str
    """Relative to the subject, with forward slashes; never used to open or write anything."""
    size: int
    """Uncompressed bytes."""
    open: Callable[[], AbstractContextManager[Blob]]
    """Gives the bytes. Call it before the next member is asked for; the blob itself stays
    readable until its context is left."""
    head: bytes | None = None
    """The first bytes (up to `HEAD_BYTES`; all of a smaller file), if reading them costs
    nothing.
    """
    serial: int = 0
    """Tells members of one path apart: several layers of an image may hold the same path."""
    only: bool = False
    """Whether it is the subject's only one, so that nothing can be done while it is read."""
    outer: Member | None = None
    """The archive that holds it; None for a file of the subject itself."""


class StreamedContent:
    """The content of one file while a stream stands at its first byte."""

    __slots__ = ("_head", "_reader", "_size", "serial", "was_read")

    def __init__(self, size: int, reader: ByteReader, serial: int) -> None:
        self._size = size
        self._reader = reader
        self._head = reader.take(min(size, HEAD_BYTES))
        self.serial = serial
        self.was_read = False

    def member(self, path: str) -> Member:
        """The file as a member of its subject, which can be opened once."""
        return Member(path, self._size, self.open, self._head, self.serial)

    @contextmanager
    def open(self) -> Iterator[Blob]:
        """Take the content from the stream, into memory or a temporary file without a name."""
        if self.was_read:
            raise ValueError("a file of a stream can be opened once")
        self.was_read = True
        left = self._size - len(self._head)
        if self._size <= _IN_MEMORY_BYTES:
            yield BytesBlob(self._head + self._reader.take(left))
            return
        content = itertools.chain([self._head], self._reader.parts(left))
        with spool(content, self._size) as blob:
            yield blob


@contextmanager
def spool(stream: Iterable[bytes], size: int) -> Iterator[Blob]:
    """Put a sequential stream of exactly `size` bytes into an unlinked temporary file.

    The file has no name, so nothing of an archive decides where bytes go and nothing is left
    behind. Raises `DamagedInputError` when the stream is shorter or longer, and `ToolError` when
    the disk for temporary files is full.
    """
    import tempfile  # noqa: PLC0415 - slow to load, and a plain library needs none

    require_room(Path(tempfile.gettempdir()), size, "A member that has to be unpacked", _ELSEWHERE)
    with tempfile.TemporaryFile(prefix="smforge-", buffering=0) as file:
        written = 0
        for part in stream:
            written += len(part)
            if written > size:
                break
            _write(file, part)
        if written > size:
            raise DamagedInputError(f"A member unpacks to more than its {size} bytes.")
        if written < size:
            raise DamagedInputError(f"A member unpacks to only {written} of its {size} bytes.")
        with FileBlob(os.dup(file.fileno())) as blob:
            yield blob


@contextmanager
def spool_all(stream: Iterable[bytes]) -> Iterator[Blob]:
    """Keep a stream of unknown length: in memory, or where it is long in a temporary file.

    Raises `ToolError` when the disk for temporary files is full.
    """
    parts = iter(stream)
    kept: list[bytes] = []
    size = 0
    for part in parts:
        kept.append(part)
        size += len(part)
        if size > _IN_MEMORY_BYTES:
            break
    else:
        yield BytesBlob(b"".join(kept))
        return
    import tempfile  # noqa: PLC0415 - slow to load

    with tempfile.TemporaryFile(prefix="smforge-", buffering=0) as file:
        for part in itertools.chain(kept, parts):
            _write(file, part)
        with FileBlob(os.dup(file.fileno())) as blob:
            yield blob


def _write(file: IO[bytes], part: bytes) -> None:
    try:
        view = memoryview(part)
        while view:
            view = view[file.write(view) :]
    except OSError as error:
        raise ToolError(
            f"A member cannot be unpacked: {error.strerror or error}.",
            remedy="Free space for temporary files, or set TMPDIR to another folder.",
        ) from error


def path_text(path: str) -> str:
    """A file name need not be text; a report must be."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
