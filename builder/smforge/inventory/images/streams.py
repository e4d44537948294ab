"""Streams of parts: decompressed, and read ahead of their reader."""

from __future__ import annotations

import itertools
import queue
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import IO, cast

import zstandard
from isal import igzip_lib, isal_zlib

from smforge.errors import DamagedInputError
from smforge.inventory.formats.limits import Limits
from smforge.oci.parts import PART_BYTES

_AHEAD_PARTS = 4
_JOIN_SECONDS = 10.0
_ZSTD_WINDOW_BYTES = 1 << 27
"""What ``zstd --ultra`` may ask for; beyond it the window itself would be the bomb."""

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_SKIPPABLE_MAGIC = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")


def is_compressed(head: bytes) -> bool:
    """Whether a stream that starts with these four bytes is gzip or zstd."""
    return head.startswith(_GZIP_MAGIC) or _is_zstd(head)


def _is_zstd(head: bytes) -> bool:
    return head.startswith(_ZSTD_MAGIC) or _SKIPPABLE_MAGIC.match(head) is not None


def inflated(parts: Iterable[bytes], limits: Limits, where: str) -> Iterator[bytes]:
    """Decompress gzip or zstd, told by the content; anything else passes unchanged.

    Raises `DamagedInputError` for a stream that cannot be decompressed and `LimitExceededError`
    for one that unpacks to implausibly much.
    """
    rest = iter(parts)
    head = b""
    while len(head) < len(_ZSTD_MAGIC) and (part := next(rest, b"")):
        head += part
    whole = itertools.chain([head], rest) if head else rest
    if head.startswith(_GZIP_MAGIC):
        return _bounded(_gunzip, whole, limits, where)
    if _is_zstd(head):
        return _bounded(_unzstd, whole, limits, where)
    return whole


class _Counted:
    """Counts the bytes that pass, for the expansion limit."""

    __slots__ = ("_parts", "count")

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self.count = 0

    def read(self, _size: int = -1) -> bytes:
        """Return the next part, of whatever size, as a source of bytes for decompressors."""
        part = next(self._parts, b"")
        self.count += len(part)
        return part


def _bounded(
    inflate: Callable[[_Counted, str], Iterator[bytes]],
    parts: Iterator[bytes],
    limits: Limits,
    where: str,
) -> Iterator[bytes]:
    source = _Counted(parts)
    unpacked = 0
    for part in inflate(source, where):
        unpacked += len(part)
        limits.check_expansion(source.count, unpacked, where)
        yield part


def _gunzip(source: _Counted, where: str) -> Iterator[bytes]:
    inflater = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
    data = source.read()
    while data or not inflater.needs_input:
        try:
            part = inflater.decompress(data, PART_BYTES)
        except isal_zlib.error as error:  # type: ignore[misc]  # typed as an instance
            raise DamagedInputError(f"{where} is damaged gzip: {error}.") from error
        if part:
            yield part
        data = b""
        if inflater.eof:
            # What follows is another gzip member, or padding.
            data = inflater.unused_data.lstrip(b"\0")
            while not data and (more := source.read()):
                data = more.lstrip(b"\0")
            if not data:
                return
            inflater = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
        elif inflater.needs_input:
            data = source.read()
    raise DamagedInputError(f"{where} is cut off in the middle of its gzip stream.")


def _unzstd(source: _Counted, where: str) -> Iterator[bytes]:
    inflater = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
    try:
        with inflater.stream_reader(cast("IO[bytes]", source), read_across_frames=True) as stream:
            while part := stream.read(PART_BYTES):
                yield part
    except zstandard.ZstdError as error:
        raise DamagedInputError(f"{where} is damaged zstd: {error}.") from error


@contextmanager
def read_ahead(parts: Iterator[bytes]) -> Iterator[Iterator[bytes]]:
    """Produce `parts` in a thread of its own, a few parts ahead of the reader.

    Reading, hashing and inflating release the interpreter, so they run beside the reader.
    An error of the producer is raised where the reader would have met it.
    """
    ready: queue.Queue[bytes | BaseException | None] = queue.Queue(_AHEAD_PARTS)
    stop = threading.Event()

    def produce() -> None:
        last: BaseException | None = None
        try:
            for part in parts:
                ready.put(part)
                if stop.is_set():
                    return
        except BaseException as error:
            last = error
        ready.put(last)

    def consume() -> Iterator[bytes]:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    thread = threading.Thread(target=produce, name="smforge-read-ahead", daemon=True)
    thread.start()
    try:
        yield consume()
    finally:
        stop.set()
        # A source that never answers must not hold up the end of the program.
        deadline = time.monotonic() + _JOIN_SECONDS
        while thread.is_alive() and time.monotonic() < deadline:
            try:
                ready.get(timeout=0.05)
            except queue.Empty:
                thread.join(0.05)
