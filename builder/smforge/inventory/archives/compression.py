"""Streams that are decompressed while they are read: gzip, zstd, bzip2 and xz.

Which of them a stream is shows in its first bytes. bzip2 and xz are loaded where they are met:
layers of images use neither.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Protocol, cast

import zstandard
from isal import igzip_lib, isal_zlib

from smforge.errors import DamagedInputError
from smforge.inventory.formats.limits import Limits
from smforge.oci.parts import PART_BYTES

_WINDOW_BYTES = 1 << 27
"""What ``zstd --ultra`` and ``xz -9`` may ask for; beyond it the window would be the bomb."""
_XZ_BYTES = 2 * _WINDOW_BYTES
_HEAD_BYTES = 6

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_SKIPPABLE_MAGIC = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")
_BZIP2_MAGIC = re.compile(rb"BZh[1-9]")
_XZ_MAGIC = b"\xfd7zXZ\0"


class _Decompressor(Protocol):
    """What igzip, bz2 and lzma have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


def is_compressed(head: bytes) -> bool:
    """Whether a stream that starts with these six bytes is compressed in a known way."""
    return _inflater(head) is not None


def inflated(parts: Iterable[bytes], limits: Limits, where: str) -> Iterator[bytes]:
    """Decompress a stream, told by its content; anything else passes unchanged.

    Raises `DamagedInputError` for a stream that cannot be decompressed and `LimitExceededError`
    for one that unpacks to implausibly much.
    """
    rest = iter(parts)
    head = b""
    while len(head) < _HEAD_BYTES and (part := next(rest, b"")):
        head += part
    whole = itertools.chain([head], rest) if head else rest
    inflate = _inflater(head)
    return whole if inflate is None else _bounded(inflate, whole, limits, where)


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


Inflate = Callable[[_Counted, str], Iterator[bytes]]


def _inflater(head: bytes) -> Inflate | None:
    if head.startswith(_GZIP_MAGIC):
        return _gunzip
    if head.startswith(_ZSTD_MAGIC) or _SKIPPABLE_MAGIC.match(head):
        return _unzstd
    if _BZIP2_MAGIC.match(head):
        return _bunzip2
    return _unxz if head.startswith(_XZ_MAGIC) else None


def _bounded(
    inflate: Inflate, parts: Iterator[bytes], limits: Limits, where: str
) -> Iterator[bytes]:
    source = _Counted(parts)
    unpacked = 0
    for part in inflate(source, where):
        unpacked += len(part)
        limits.check_expansion(source.count, unpacked, where)
        yield part


def _gunzip(source: _Counted, where: str) -> Iterator[bytes]:
    def start() -> _Decompressor:
        return igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)

    try:
        yield from _members(source, start, f"{where} is cut off in the middle of its gzip stream.")
    except isal_zlib.error as error:  # type: ignore[misc]  # typed as an instance
        raise DamagedInputError(f"{where} is damaged gzip: {error}.") from error


def _bunzip2(source: _Counted, where: str) -> Iterator[bytes]:
    from bz2 import BZ2Decompressor  # noqa: PLC0415 - old conda packages alone need it

    try:
        yield from _members(
            source, BZ2Decompressor, f"{where} is cut off in the middle of its bzip2 stream."
        )
    except (OSError, ValueError) as error:
        raise DamagedInputError(f"{where} is damaged bzip2: {error}.") from error


def _unxz(source: _Counted, where: str) -> Iterator[bytes]:
    from lzma import FORMAT_XZ, LZMADecompressor, LZMAError  # noqa: PLC0415 - seldom needed

    def start() -> _Decompressor:
        return LZMADecompressor(FORMAT_XZ, _XZ_BYTES)

    try:
        yield from _members(source, start, f"{where} is cut off in the middle of its xz stream.")
    except LZMAError as error:
        raise DamagedInputError(f"{where} is damaged xz: {error}.") from error


def _members(source: _Counted, start: Callable[[], _Decompressor], cut_off: str) -> Iterator[bytes]:
    """Decompress the members of a stream, which may have zeros between and after them."""
    inflater = start()
    data = source.read()
    while data or not inflater.needs_input:
        part = inflater.decompress(data, PART_BYTES)
        if part:
            yield part
        data = b""
        if inflater.eof:
            data = inflater.unused_data.lstrip(b"\0")
            while not data and (more := source.read()):
                data = more.lstrip(b"\0")
            if not data:
                return
            inflater = start()
        elif inflater.needs_input:
            data = source.read()
    raise DamagedInputError(cut_off)


def _unzstd(source: _Counted, where: str) -> Iterator[bytes]:
    inflater = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES)
    try:
        with inflater.stream_reader(cast("IO[bytes]", source), read_across_frames=True) as stream:
            while part := stream.read(PART_BYTES):
                yield part
    except zstandard.ZstdError as error:
        raise DamagedInputError(f"{where} is damaged zstd: {error}.") from error
