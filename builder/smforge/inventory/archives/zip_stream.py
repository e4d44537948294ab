"""The bytes of zip members: their first few, or all of them with their checksum proven."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, cast

from isal import igzip_lib, isal_zlib

from smforge.errors import DamagedInputError
from smforge.inventory.archives.zip_directory import LOCAL_HEADER, LOCAL_MAGIC, ZipEntry
from smforge.inventory.formats.blob import CHUNK, Blob
from smforge.inventory.formats.limits import Limits

_STORED, _DEFLATED = 0, 8
_FLAG_ENCRYPTED = 0x1
_RAW_DEFLATE = -15
_PEEK = 1 << 10
"""Packed bytes that are read to see a member's first bytes."""
_EXTRA = 64
"""Bytes of extra fields that local headers seldom exceed."""
_OUT: Final = 4 * CHUNK

_IsalError = cast("type[Exception]", igzip_lib.IsalError)


class ZipReader:
    """Reads the members of one archive."""

    def __init__(self, blob: Blob, limits: Limits) -> None:
        self._blob = blob
        self._limits = limits

    def look(self, entry: ZipEntry, length: int) -> tuple[int, bytes]:
        """Return where the packed bytes begin, and up to `length` of the first unpacked ones.

        Nothing is checked but that the local header fits the directory. Raises
        `DamagedInputError` where it does not.
        """
        # One read for both: an archive may have tens of thousands of members.
        wanted = LOCAL_HEADER.size + len(entry.name) + _EXTRA + min(entry.packed, _PEEK)
        read = self._blob.read_at(entry.offset, min(wanted, self._blob.size - entry.offset))
        start = _data_offset(entry, read)
        packed = read[start - entry.offset :]
        if len(packed) < min(entry.packed, _PEEK):
            packed = self._blob.read_at(start, min(entry.packed, _PEEK))
        return start, self._unpacked(entry, packed[: entry.packed], length)

    def _unpacked(self, entry: ZipEntry, packed: bytes, length: int) -> bytes:
        if entry.method == _STORED:
            return packed[:length]
        _check_readable(entry)
        try:
            return isal_zlib.decompressobj(_RAW_DEFLATE).decompress(packed, length)
        except _IsalError as error:
            raise DamagedInputError(f"It cannot be unpacked: {error}.") from error

    def stream(self, entry: ZipEntry, start: int) -> Iterator[bytes]:
        """Yield all bytes of a member; the packed ones begin at `start`.

        Raises `DamagedInputError` where size or checksum do not fit.
        """
        _check_readable(entry)
        self._limits.check_member(entry.size, repr(entry.name))
        crc = 0
        produced = 0
        parts = self._packed(start, entry.packed)
        for part in parts if entry.method == _STORED else _inflate(parts):
            produced += len(part)
            if produced > entry.size:
                raise DamagedInputError(f"It unpacks to more than its {entry.size} bytes.")
            crc = isal_zlib.crc32(part, crc)
            yield part
        if produced != entry.size:
            raise DamagedInputError(f"It unpacks to only {produced} of its {entry.size} bytes.")
        if crc != entry.crc:
            raise DamagedInputError("Its bytes do not match its checksum.")

    def _packed(self, start: int, size: int) -> Iterator[bytes]:
        for offset in range(start, start + size, CHUNK):
            yield self._blob.read_at(offset, min(CHUNK, start + size - offset))


def _data_offset(entry: ZipEntry, read: bytes) -> int:
    """Return where the packed bytes begin, from the local header at the start of `read`."""
    if len(read) < LOCAL_HEADER.size:
        raise DamagedInputError("The archive ends within its header.")
    magic, _, _, method, *_, name_length, extra_length = LOCAL_HEADER.unpack_from(read)
    if magic != LOCAL_MAGIC or method != entry.method:
        raise DamagedInputError("Its header contradicts the archive's directory.")
    offset: int = entry.offset + LOCAL_HEADER.size + name_length + extra_length
    return offset


def _inflate(parts: Iterator[bytes]) -> Iterator[bytes]:
    unpacker = isal_zlib.decompressobj(_RAW_DEFLATE)
    try:
        for part in parts:
            packed = part
            while packed and not unpacker.eof:
                data = unpacker.decompress(packed, _OUT)
                packed = unpacker.unconsumed_tail
                if data:
                    yield data
        while not unpacker.eof:
            data = unpacker.decompress(b"", _OUT)
            if not data:
                raise DamagedInputError("Its packed bytes end early.")
            yield data
    except _IsalError as error:
        raise DamagedInputError(f"It cannot be unpacked: {error}.") from error


def _check_readable(entry: ZipEntry) -> None:
    if entry.flags & _FLAG_ENCRYPTED:
        raise DamagedInputError("It is encrypted.")
    if entry.method not in (_STORED, _DEFLATED):
        raise DamagedInputError(
            f"It is packed with method {entry.method}, which installers need not read either."
        )
