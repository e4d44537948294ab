"""The files of a subject, one after the other, and temporary homes for streamed bytes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import IO, NamedTuple

from smforge.errors import DamagedInputError, ToolError
from smforge.inventory.formats.blob import Blob, FileBlob

HEAD_BYTES = 512
"""How much of a file `Member.head` holds: enough to tell every format apart."""


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
    """The first bytes (up to `HEAD_BYTES`; all of a smaller file), where they came for free."""
    serial: int = 0
    """Tells members of one path apart: several layers of an image may hold the same path."""
    only: bool = False
    """Whether it is the subject's only one, so that nothing can be done while it is read."""


@contextmanager
def spool(stream: Iterable[bytes], size: int) -> Iterator[Blob]:
    """Put a sequential stream of exactly `size` bytes into an unlinked temporary file.

    The file has no name, so nothing of an archive decides where bytes go and nothing is left
    behind. Raises `DamagedInputError` when the stream is shorter or longer, and `ToolError` when
    the disk for temporary files is full.
    """
    import tempfile  # noqa: PLC0415 - slow to load, and a plain library needs none

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


def _write(file: IO[bytes], part: bytes) -> None:
    try:
        view = memoryview(part)
        while view:
            view = view[file.write(view) :]
    except OSError as error:
        raise ToolError(
            f"A member cannot be unpacked: {error.strerror or error}.",
            remedy="Free space for temporary files, or point TMPDIR elsewhere.",
        ) from error
