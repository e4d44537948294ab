"""The bytes of a code object: decompressed whole, or only as far as they are needed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Final, cast

import lz4.block
import zstandard
from isal import igzip_lib, isal_zlib

from smforge.errors import DamagedInputError, LimitExceededError
from smforge.inventory.formats.blob import Blob, BytesBlob, SliceBlob, chunks
from smforge.inventory.formats.fatbin import Entry
from smforge.inventory.formats.limits import Limits
from smforge.inventory.records import Compression

_STEP: Final = 256 << 10
"""Bytes per piece of a payload that is read to its end: what stays in a CPU's cache."""
_READ = 32 << 10

_IsalError = cast("type[Exception]", igzip_lib.IsalError)
_local = threading.local()


def open_payload(blob: Blob, entry: Entry, limits: Limits) -> Blob:
    """Return the whole payload, decompressed. Raises `DamagedInputError` where it cannot be."""
    if entry.compression is Compression.NONE:
        return SliceBlob(blob, entry.offset, entry.stored)
    _check_size(entry, limits)
    stored = blob.read_at(entry.offset, entry.stored)
    try:
        data = _DECODERS[entry.compression](stored, entry.size)
    except (zstandard.ZstdError, lz4.block.LZ4BlockError, _IsalError, ValueError) as error:
        raise _damaged(entry, str(error)) from error
    if len(data) != entry.size:
        raise _damaged(entry, f"it unpacks to {len(data)} bytes, not {entry.size}")
    return BytesBlob(data)


def stream_payload(blob: Blob, entry: Entry, limits: Limits, step: int = _STEP) -> Iterator[bytes]:
    """Yield the payload, decompressed, in pieces of `step` bytes; stopping early saves work.

    LZ4 blocks can only be unpacked whole. One payload at a time per thread.
    """
    opener = _STREAMS.get(entry.compression)
    if opener is None:
        whole = open_payload(blob, entry, limits)
        yield from chunks(whole, 0, whole.size, step)
        return
    _check_size(entry, limits)
    read = opener(_Stored(blob, entry))
    produced = 0
    while produced < entry.size:
        try:
            data = read(min(step, entry.size - produced))
        except (zstandard.ZstdError, _IsalError, EOFError) as error:
            raise _damaged(entry, str(error)) from error
        if not data:
            raise _damaged(entry, f"it unpacks to {produced} bytes, not {entry.size}")
        produced += len(data)
        yield data


class _Stored:
    """The stored bytes of an entry, as the file object that decompressors read from."""

    def __init__(self, blob: Blob, entry: Entry) -> None:
        self._blob = blob
        self._position = entry.offset
        self._end = entry.offset + entry.stored

    def read(self, size: int = -1) -> bytes:
        left = self._end - self._position
        data = self._blob.read_at(self._position, left if size < 0 else min(size, left))
        self._position += len(data)
        return data


def _zstd(stored: bytes, size: int) -> bytes:
    # A frame may state a size of its own, which the decoder would believe and allocate.
    stated = zstandard.frame_content_size(stored)
    if stated not in (-1, size):
        raise ValueError(f"its frame states {stated} bytes, not {size}")
    return _decompressor().decompress(stored, max_output_size=size)


def _lz4(stored: bytes, size: int) -> bytes:
    data: bytes = lz4.block.decompress(stored, uncompressed_size=size)
    return data


def _zlib(stored: bytes, size: int) -> bytes:
    unpacker = isal_zlib.decompressobj()
    return unpacker.decompress(stored, size + 1)


def _open_zstd(source: _Stored) -> Callable[[int], bytes]:
    return _decompressor().stream_reader(source, read_size=_READ).read  # type: ignore[arg-type]


def _open_zlib(source: _Stored) -> Callable[[int], bytes]:
    unpacker = isal_zlib.decompressobj()

    def read(size: int) -> bytes:
        while not unpacker.eof:
            stored = unpacker.unconsumed_tail or source.read(_READ)
            data = unpacker.decompress(stored, size)
            if data or not stored:
                return data
        return b""

    return read


def _decompressor() -> zstandard.ZstdDecompressor:
    """One per thread: its buffers are as large as the windows it has met."""
    try:
        found: zstandard.ZstdDecompressor = _local.zstd
    except AttributeError:
        found = _local.zstd = zstandard.ZstdDecompressor()
    return found


_DECODERS: Final = {
    Compression.ZSTD: _zstd,
    Compression.LZ4: _lz4,
    Compression.ZLIB: _zlib,
}
_STREAMS: Final = {Compression.ZSTD: _open_zstd, Compression.ZLIB: _open_zlib}


def _check_size(entry: Entry, limits: Limits) -> None:
    size = max(entry.size, entry.stored)
    if size > limits.payload_bytes:
        raise LimitExceededError(
            f"A code object takes {size} bytes to unpack, more than {limits.payload_bytes}."
        )


def _damaged(entry: Entry, reason: str) -> DamagedInputError:
    return DamagedInputError(
        f"The {entry.compression} payload of a {entry.kind} for {entry.target} cannot be "
        f"unpacked: {reason}."
    )
