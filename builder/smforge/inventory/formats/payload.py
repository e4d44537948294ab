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
_LZ4_LONG = 15
_LZ4_START = 4096
"""Stored bytes that are looked at for the first unpacked ones."""

_IsalError = cast("type[Exception]", igzip_lib.IsalError)
_local = threading.local()


def open_payload(blob: Blob, entry: Entry, limits: Limits) -> Blob:
    """Return the whole payload, decompressed. Raises `DamagedInputError` where it cannot be.

    What is decompressed is held in memory: see `Limits.whole_payload_bytes`.
    """
    if entry.compression is Compression.NONE:
        return SliceBlob(blob, entry.offset, entry.stored)
    _check_size(entry, limits.whole_payload_bytes)
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
    _check_size(entry, limits.payload_bytes)
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


def payload_head(blob: Blob, entry: Entry, length: int, limits: Limits) -> bytes:
    """Return the first bytes of a payload, `length` at most, without unpacking more than needed."""
    if entry.compression is Compression.NONE:
        return blob.read_at(entry.offset, min(length, entry.stored))
    if entry.compression is Compression.LZ4:
        return _lz4_head(blob, entry, length, limits)
    return next(stream_payload(blob, entry, limits, length), b"")


def _lz4_head(blob: Blob, entry: Entry, length: int, limits: Limits) -> bytes:
    """Unpack the first sequences of an LZ4 block (lz4_Block_format.md of the LZ4 project)."""
    stored = blob.read_at(entry.offset, min(entry.stored, _LZ4_START))
    found = bytearray()
    at = 0
    try:
        while len(found) < length:
            token = stored[at]
            literals, at = _lz4_length(stored, at + 1, token >> 4)
            found += stored[at : at + literals]
            at += literals
            if at == entry.stored or len(found) >= length:
                break
            distance = stored[at] | stored[at + 1] << 8
            match, at = _lz4_length(stored, at + 2, token & 15)
            if not 0 < distance <= len(found):
                raise _damaged(entry, "it refers to bytes before its start")
            match = min(match + 4, length)
            repeated = found[-distance:]
            found += (repeated * (match // len(repeated) + 1))[:match]
    except IndexError:
        # The sequences that begin with it are longer than what was read.
        whole = open_payload(blob, entry, limits)
        return whole.read_at(0, min(length, whole.size))
    return bytes(found[:length])


def _lz4_length(stored: bytes, at: int, count: int) -> tuple[int, int]:
    """Return a length that may go on in further bytes, and where reading continues."""
    if count == _LZ4_LONG:
        more = 255
        while more == 255:
            more = stored[at]
            at += 1
            count += more
    return count, at


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


def _check_size(entry: Entry, most: int) -> None:
    size = max(entry.size, entry.stored)
    if size > most:
        raise LimitExceededError(f"A code object takes {size} bytes to unpack, more than {most}.")


def _damaged(entry: Entry, reason: str) -> DamagedInputError:
    return DamagedInputError(
        f"The {entry.compression} payload of a {entry.kind} for {entry.target} cannot be "
        f"unpacked: {reason}."
    )
