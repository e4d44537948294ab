"""Takes exact amounts of bytes from a stream that arrives in parts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from smforge.errors import DamagedInputError

_HEADERS_BYTES = 64 << 10
"""Bytes read at once where only headers are looked for."""


class ByteReader:
    """Reads a stream of parts front to back, without holding more than one part."""

    __slots__ = ("_at", "_before", "_part", "_parts", "_where")

    def __init__(self, parts: Iterable[bytes], where: str) -> None:
        """`where` names the stream in error messages."""
        self._parts = iter(parts)
        self._part = b""
        self._at = 0
        self._before = 0
        self._where = where

    @property
    def position(self) -> int:
        """How many bytes have been taken."""
        return self._before + self._at

    def take(self, count: int) -> bytes:
        """Return exactly `count` bytes. Raises `DamagedInputError` where the stream ends before."""
        end = self._at + count
        if end <= len(self._part):
            data = self._part[self._at : end]
            self._at = end
            return data
        data = b"".join(self.parts(count))
        if len(data) < count:
            raise DamagedInputError(
                f"{self._where} ends at byte {self.position}, in the middle of what it announces."
            )
        return data

    def parts(self, count: int) -> Iterator[bytes]:
        """Yield the next `count` bytes in parts; fewer where the stream ends before."""
        while count > 0:
            if self._at == len(self._part) and not self._next_part():
                return
            data = self._part[self._at : self._at + count]
            self._at += len(data)
            count -= len(data)
            yield data

    def exactly(self, count: int) -> Iterator[bytes]:
        """Yield the next `count` bytes in parts. Raises as `take` does."""
        end = self.position + count
        yield from self.parts(count)
        self._require(end)

    def skip(self, count: int) -> None:
        """Pass over `count` bytes. Raises as `take` does."""
        end = self.position + count
        while self.position < end:
            left = end - self.position
            if left <= len(self._part) - self._at:
                self._at += left
                return
            self._at = len(self._part)
            if not self._next_part():
                self._require(end)

    def at_end(self) -> bool:
        """Whether no byte is left."""
        return self._at == len(self._part) and not self._next_part()

    def drain(self) -> None:
        """Pass over all that is left, so that whatever checks the stream sees all of it."""
        while self._next_part():
            pass

    def _next_part(self) -> bool:
        for part in self._parts:
            if part:
                self._before += len(self._part)
                self._part = part
                self._at = 0
                return True
        self._before += len(self._part)
        self._part = b""
        self._at = 0
        return False

    def _require(self, end: int) -> None:
        if self.position < end:
            raise DamagedInputError(
                f"{self._where} ends at byte {self.position}, {end - self.position} bytes early."
            )


class FileReader(ByteReader):
    """Reads an open file, and passes over what is skipped without reading it."""

    __slots__ = ("_fd", "_offset", "_size")

    def __init__(self, fd: int, where: str) -> None:
        super().__init__(iter(()), where)
        self._fd = fd
        self._offset = 0
        self._size = os.fstat(fd).st_size

    def skip(self, count: int) -> None:
        end = self.position + count
        inside = end - self._before
        if inside <= len(self._part):
            self._at = inside
            return
        self._before = min(end, self._size)
        self._part = b""
        self._at = 0
        self._offset = self._before
        self._require(end)

    def drain(self) -> None:
        self.skip(self._size - self.position)

    def _next_part(self) -> bool:
        self._before += len(self._part)
        self._at = 0
        self._part = os.pread(self._fd, _HEADERS_BYTES, self._offset)
        self._offset += len(self._part)
        return bool(self._part)
