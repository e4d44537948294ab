"""Reads tar streams front to back: ustar, GNU long names and pax, as image layers use them.

Python's tarfile takes a damaged header after the first one for the end of the archive, and spends
several times as long per member. This reader refuses what it does not understand: an archive that
it has read to its end holds nothing else.

Formats: POSIX.1-1988 ustar, POSIX.1-2001 pax (section "pax Interchange Format") and the GNU tar
manual's "Basic Tar Format". Sparse files have no place in layers and are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from smforge.errors import DamagedInputError, LimitExceededError
from smforge.inventory.archives.part_reader import ByteReader

BLOCK = 512
EXTENDED_HEADER_BYTES = 1 << 20
"""The largest extended header or long name that is read, as in Go's archive/tar."""

_ZERO_BLOCK = bytes(BLOCK)
_EXTENDED_KEYS = (b"path", b"linkpath", b"size")


class EntryType(Enum):
    """What an entry creates."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    HARDLINK = "hardlink"
    SPECIAL = "special"
    """A device or a named pipe."""


_TYPES = {
    b"0": EntryType.FILE,
    b"\0": EntryType.FILE,
    b"7": EntryType.FILE,
    b"1": EntryType.HARDLINK,
    b"2": EntryType.SYMLINK,
    b"3": EntryType.SPECIAL,
    b"4": EntryType.SPECIAL,
    b"5": EntryType.DIRECTORY,
    b"6": EntryType.SPECIAL,
}


@dataclass(slots=True)
class Entry:
    """One member, as its headers describe it. `name` is as found: do not use it as a path."""

    name: str
    type: EntryType
    size: int
    """Bytes of content that follow; 0 for anything but a file."""
    link: str = ""
    """Where a link points; for a hard link a name within the archive."""


def entries(reader: ByteReader, where: str) -> Iterator[Entry]:
    """Yield the entries of a tar stream, and read it to its very end.

    While an entry is in the caller's hands the next `entry.size` bytes of `reader` are its content;
    the caller may take any of them. Raises `DamagedInputError` where the stream contradicts the
    format and `LimitExceededError` for an extended header beyond `EXTENDED_HEADER_BYTES`.
    """
    overrides: dict[bytes, bytes] = {}
    while (block := _next_header(reader, where)) is not None:
        kind = block[156:157]
        size = _number(block, 124, 136, where)
        if kind in b"xgLK":
            overrides |= _extension(kind, _extended_bytes(reader, size, where), where)
            continue
        entry = _entry(block, kind, size, overrides, where)
        overrides = {}
        start = reader.position
        yield entry
        padded = entry.size + -entry.size % BLOCK
        reader.skip(start + padded - reader.position)
    if overrides:
        raise DamagedInputError(f"{where} ends after an extended header that describes no member.")
    reader.drain()


def is_header(block: bytes) -> bool:
    """Tell whether a file that begins with these `BLOCK` bytes is a tar archive."""
    field = block[148:156].strip(b" \0")
    if len(block) < BLOCK or not block[0] or not field.isdigit():
        return False
    try:
        return int(field, 8) == _checksum(block)
    except ValueError:
        return False


def _checksum(block: bytes) -> int:
    # The sum counts its own field as spaces.
    return sum(block[:BLOCK]) - sum(block[148:156]) + 256


def _next_header(reader: ByteReader, where: str) -> bytes | None:
    if reader.at_end():
        return None
    block = reader.take(BLOCK)
    if block[0] == 0 and block == _ZERO_BLOCK:
        if not reader.at_end() and reader.take(BLOCK) != _ZERO_BLOCK:
            raise _damaged(where, reader.position - BLOCK, "a header follows a single zero block")
        return None
    if _number(block, 148, 156, where) != _checksum(block):
        raise _damaged(where, reader.position - BLOCK, "the checksum of a header is wrong")
    return block


def _entry(
    block: bytes, kind: bytes, size: int, overrides: dict[bytes, bytes], where: str
) -> Entry:
    entry_type = _TYPES.get(kind)
    if entry_type is None:
        raise DamagedInputError(
            f"{where} has a member of type {kind!r}, which image layers do not use."
        )
    name = overrides.get(b"path")
    if name is None:
        name = _text(block, 0, 100)
        if block[257:263] == b"ustar\0" and block[345]:
            name = _text(block, 345, 500) + b"/" + name
    link = overrides.get(b"linkpath")
    if link is None:
        link = _text(block, 157, 257)
    if entry_type is EntryType.FILE:
        size = _decimal(overrides[b"size"], where) if b"size" in overrides else size
        if kind == b"\0" and name.endswith(b"/"):
            # Before ustar a directory was a file with a slash at its end.
            entry_type, size = EntryType.DIRECTORY, 0
    else:
        size = 0
    return Entry(_decoded(name, where), entry_type, size, _decoded(link, where))


def _extended_bytes(reader: ByteReader, size: int, where: str) -> bytes:
    if size > EXTENDED_HEADER_BYTES:
        raise LimitExceededError(
            f"{where} has an extended header of {size} bytes, more than {EXTENDED_HEADER_BYTES}: "
            "it looks like an archive made to exhaust the reader."
        )
    return reader.take(size + -size % BLOCK)[:size]


def _extension(kind: bytes, data: bytes, where: str) -> dict[bytes, bytes]:
    if kind == b"L":
        return {b"path": data.rstrip(b"\0")}
    if kind == b"K":
        return {b"linkpath": data.rstrip(b"\0")}
    records = _pax_records(data, where)
    if any(key.startswith(b"GNU.sparse.") for key in records):
        raise DamagedInputError(f"{where} has a sparse member, which image layers do not use.")
    found = {key: records[key] for key in _EXTENDED_KEYS if key in records}
    if kind == b"g":
        if found:
            raise DamagedInputError(
                f"{where} gives one {next(iter(found)).decode()} to all its members."
            )
        return {}
    return found


def _pax_records(data: bytes, where: str) -> dict[bytes, bytes]:
    """Read ``<length> <key>=<value>\\n`` records; the length counts the whole record."""
    records: dict[bytes, bytes] = {}
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 20)
        length = _decimal(data[at:space], where) if space > at else 0
        equals = data.find(b"=", space, at + length)
        end = at + length
        if equals < 0 or end > len(data) or data[end - 1 : end] != b"\n":
            raise DamagedInputError(f"{where} has an extended header that cannot be read.")
        records[data[space + 1 : equals]] = data[equals + 1 : end - 1]
        at = end
    return records


def _number(block: bytes, start: int, end: int, where: str) -> int:
    """Read an octal field, or GNU's base-256 form, which the first bit announces."""
    if block[start] & 0x80:
        value = int.from_bytes(block[start:end], "big") & ((1 << (8 * (end - start) - 1)) - 1)
        if block[start] & 0x40 or value >> 63:
            raise _damaged(where, start, "a header's number is negative or beyond 64 bits")
        return value
    digits = block[start:end].strip(b" \0")
    if not digits:
        return 0
    try:
        # int() would also take "0o7", "1_0" and signs.
        if not digits.isdigit():
            raise ValueError
        return int(digits, 8)
    except ValueError:
        raise DamagedInputError(f"{where} has a header with the number {digits!r}.") from None


def _decimal(digits: bytes, where: str) -> int:
    if not digits.isdigit() or len(digits) > 19:
        raise DamagedInputError(f"{where} has an extended header with the number {digits[:40]!r}.")
    return int(digits)


def _text(block: bytes, start: int, end: int) -> bytes:
    return block[start:end].split(b"\0", 1)[0]


def _decoded(name: bytes, where: str) -> str:
    if b"\0" in name:
        raise DamagedInputError(f"{where} has a member with a zero byte in its name.")
    return name.decode("utf-8", "surrogateescape")


def _damaged(where: str, offset: int, what: str) -> DamagedInputError:
    return DamagedInputError(f"{where} is not a readable tar archive: {what} (byte {offset}).")
