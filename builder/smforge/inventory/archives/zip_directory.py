"""The directory of a zip archive, read strictly (PKWARE APPNOTE 4.3 and 4.4).

The standard library takes what the last end record says and lists nothing, without an error, when
that is damaged. For an audit an archive that hides members is worse than one that cannot be read,
so here every byte of the directory must be accounted for.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from smforge.errors import DamagedInputError
from smforge.inventory.formats.blob import Blob
from smforge.inventory.formats.limits import Limits

LOCAL_MAGIC: Final = b"PK\x03\x04"
LOCAL_HEADER: Final = struct.Struct("<4s5H3I2H")

_CENTRAL = struct.Struct("<4s6H3I5H2I")
_CENTRAL_MAGIC = b"PK\x01\x02"
_END = struct.Struct("<4s4H2IH")
_END_MAGIC = b"PK\x05\x06"
_END_64 = struct.Struct("<4sQ2H2I4Q")
_END_64_MAGIC = b"PK\x06\x06"
_LOCATOR = struct.Struct("<4sIQI")
_LOCATOR_MAGIC = b"PK\x06\x07"
_MAX_COMMENT = 0xFFFF
_MAX_DIRECTORY = 256 << 20
_SEE_ZIP64 = 0xFFFFFFFF
_EXTRA_ZIP64 = 1
_FLAG_UTF8 = 0x800


@dataclass(frozen=True, slots=True)
class ZipEntry:
    """One member as the directory describes it."""

    name: str
    offset: int
    """Of the local header."""
    flags: int
    method: int
    crc: int
    packed: int
    size: int


@dataclass(frozen=True, slots=True)
class ZipDirectory:
    """All members, in the order in which they lie in the file."""

    entries: tuple[ZipEntry, ...]
    start: int
    """Where the directory begins, which is where the members end."""


def read_directory(blob: Blob, limits: Limits) -> ZipDirectory:
    """Read the directory. Raises `DamagedInputError` for whatever does not add up."""
    offset, size, count = _end_record(blob)
    limits.check_members(count, "The archive")
    if size > _MAX_DIRECTORY:
        raise DamagedInputError(f"The archive's directory of {size} bytes is not plausible.")
    entries = sorted(_entries(blob.read_at(offset, size), count), key=lambda entry: entry.offset)
    _check_overlap(entries, offset)
    if not entries and blob.read_at(0, 4) == LOCAL_MAGIC:
        raise DamagedInputError("The archive has members, but its directory lists none.")
    return ZipDirectory(tuple(entries), offset)


def _end_record(blob: Blob) -> tuple[int, int, int]:
    """Return the directory's offset, size and number of entries."""
    length = min(blob.size, _END.size + _MAX_COMMENT)
    position = _find_end(blob.read_at(blob.size - length, length)) + blob.size - length
    (_, disk, start_disk, here, count, size, offset, _comment) = _END.unpack(
        blob.read_at(position, _END.size)
    )
    end = position
    if position >= _LOCATOR.size:
        locator = _LOCATOR.unpack(blob.read_at(position - _LOCATOR.size, _LOCATOR.size))
        if locator[0] == _LOCATOR_MAGIC:
            end = locator[2]
            record = _END_64.unpack(blob.read_at(end, _END_64.size))
            if record[0] != _END_64_MAGIC or end + _END_64.size > position - _LOCATOR.size:
                raise DamagedInputError("The archive's zip64 end record is damaged.")
            disk, start_disk, here, count, size, offset = record[4:]
    if disk or start_disk or here != count:
        raise DamagedInputError("The archive is one part of several, or its end record is damaged.")
    if offset + size != end:
        raise DamagedInputError("The archive's directory is not where its end record says.")
    return offset, size, count


def _find_end(tail: bytes) -> int:
    found = -1
    position = tail.find(_END_MAGIC)
    while position >= 0:
        if position + _END.size <= len(tail):
            comment = int.from_bytes(tail[position + 20 : position + 22], "little")
            if position + _END.size + comment == len(tail):
                if found >= 0:
                    raise DamagedInputError("The archive has two end records.")
                found = position
        position = tail.find(_END_MAGIC, position + 1)
    if found < 0:
        raise DamagedInputError(
            "The archive has no end record: it is cut off, or not a zip archive.",
            remedy="Download it again.",
        )
    return found


def _entries(directory: bytes, count: int) -> Iterator[ZipEntry]:
    position = 0
    for _ in range(count):
        if position + _CENTRAL.size > len(directory):
            raise DamagedInputError("The archive's directory ends early.")
        (magic, _made, _needed, flags, method, _time, _date, crc, packed, size, name_length,
         extra_length, comment_length, _disk, _internal, _external,
         offset) = _CENTRAL.unpack_from(directory, position)  # fmt: skip
        if magic != _CENTRAL_MAGIC:
            raise DamagedInputError("The archive's directory has an entry that is not one.")
        name_at = position + _CENTRAL.size
        extra_at = name_at + name_length
        position = extra_at + extra_length + comment_length
        if _SEE_ZIP64 in (packed, size, offset):
            extra = directory[extra_at : extra_at + extra_length]
            size, packed, offset = _zip64(extra, size, packed, offset)
        encoding = "utf-8" if flags & _FLAG_UTF8 else "cp437"
        name = directory[name_at:extra_at].decode(encoding, "backslashreplace")
        yield ZipEntry(name, offset, flags, method, crc, packed, size)
    if position != len(directory):
        raise DamagedInputError("The archive's directory has more entries than it states.")


def _zip64(extra: bytes, *narrow: int) -> list[int]:
    """Replace the values that do not fit 32 bits by those of the zip64 extra field."""
    position = 0
    while position + 4 <= len(extra):
        tag, length = struct.unpack_from("<HH", extra, position)
        if tag == _EXTRA_ZIP64:
            wide = extra[position + 4 : position + 4 + length]
            values = iter(struct.unpack(f"<{len(wide) // 8}Q", wide[: len(wide) // 8 * 8]))
            found = [next(values, None) if value == _SEE_ZIP64 else value for value in narrow]
            if None not in found:
                return [value for value in found if value is not None]
        position += 4 + length
    raise DamagedInputError("An entry of the archive's directory lacks its zip64 sizes.")


def _check_overlap(entries: list[ZipEntry], end: int) -> None:
    """Members that share bytes make small archives unpack to anything."""
    least = LOCAL_HEADER.size
    for index, entry in enumerate(entries):
        limit = entries[index + 1].offset if index + 1 < len(entries) else end
        if entry.offset + least + entry.packed > limit:
            raise DamagedInputError(f"The archive's member {entry.name!r} overlaps what follows.")
