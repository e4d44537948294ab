"""Random access to the bytes of one file, wherever they lie."""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from smforge.errors import DamagedInputError

if TYPE_CHECKING:
    from pathlib import Path

CHUNK = 1 << 20
"""Bytes per read where a whole range is streamed."""
HEAD_BYTES = 512
"""How much of a file tells its format."""


class Blob(Protocol):
    """A file's bytes. Reading is safe from several threads at once."""

    @property
    def size(self) -> int:
        """The length in bytes."""

    def read_at(self, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes. Raises `DamagedInputError` where the file ends before."""


class OwnedBlob(Blob, Protocol):
    """A blob that somebody has to close."""

    def close(self) -> None:
        """Give back what it holds."""


class BytesBlob:
    """Bytes in memory, for small files and tests."""

    __slots__ = ("_data", "size")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read_at(self, offset: int, length: int) -> bytes:
        _check_range(offset, length, self.size)
        return self._data[offset : offset + length]

    def close(self) -> None:
        self._data = b""


class FileBlob:
    """An open file, read with pread: nothing is mapped and no position is shared."""

    __slots__ = ("_fd", "size")

    def __init__(self, fd: int) -> None:
        """Take over `fd`; `close` closes it."""
        self._fd = fd
        self.size = os.fstat(fd).st_size

    @classmethod
    def from_path(cls, path: str | Path) -> FileBlob:
        """Open a file of the host. Raises `OSError` as `os.open` does."""
        return cls(os.open(path, os.O_RDONLY | os.O_CLOEXEC))

    def fileno(self) -> int:
        return self._fd

    def read_at(self, offset: int, length: int) -> bytes:
        _check_range(offset, length, self.size)
        data = self._pread(length, offset)
        if len(data) == length:
            return data
        # Linux returns at most 2 GiB at once, and a file can shrink while it is read.
        parts = [data]
        got = len(data)
        while got < length:
            part = self._pread(length - got, offset + got)
            if not part:
                raise _too_short(offset, length, offset + got)
            parts.append(part)
            got += len(part)
        return b"".join(parts)

    def _pread(self, length: int, offset: int) -> bytes:
        try:
            return os.pread(self._fd, length, offset)
        except OSError as error:
            raise DamagedInputError(
                f"The file cannot be read at byte {offset}: {error.strerror or error}."
            ) from error

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class SliceBlob:
    """A range of another blob, such as one member of a static archive."""

    __slots__ = ("_blob", "_start", "size")

    def __init__(self, blob: Blob, start: int, size: int) -> None:
        _check_range(start, size, blob.size)
        self._blob = blob
        self._start = start
        self.size = size

    def read_at(self, offset: int, length: int) -> bytes:
        _check_range(offset, length, self.size)
        return self._blob.read_at(self._start + offset, length)


def chunks(blob: Blob, start: int, end: int, size: int = CHUNK) -> Iterator[bytes]:
    """Yield the bytes from `start` to `end` in order, `size` at a time."""
    for offset in range(start, end, size):
        yield blob.read_at(offset, min(size, end - offset))


def _check_range(offset: int, length: int, size: int) -> None:
    if offset < 0 or length < 0 or offset + length > size:
        raise _too_short(offset, length, size)


def _too_short(offset: int, length: int, size: int) -> DamagedInputError:
    return DamagedInputError(
        f"The file ends at byte {size}, before the {length} bytes expected at {offset}."
    )
