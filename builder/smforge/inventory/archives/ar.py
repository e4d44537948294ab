"""Static archives: the System V ``ar`` format with GNU long names (ar(5))."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from smforge.errors import DamagedInputError
from smforge.inventory.formats.blob import Blob

MAGIC: Final = b"!<arch>\n"
THIN_MAGIC: Final = b"!<thin>\n"
"""Of an archive that holds the names of its members alone."""
_HEADER = 60
_MAX_NAMES = 64 << 20
_TABLES = (b"/", b"/SYM64/", b"__.SYMDEF", b"__.SYMDEF SORTED")


class ArchiveMember(NamedTuple):
    """One member and where its bytes lie."""

    name: str
    offset: int
    size: int


def members(blob: Blob) -> Iterator[ArchiveMember]:
    """Yield the members in order, without symbol tables.

    Raises `DamagedInputError` at a header that is not one, or at a member that is cut off.
    """
    position = len(MAGIC)
    long_names = b""
    while position < blob.size:
        header = blob.read_at(position, min(_HEADER, blob.size - position))
        if len(header) < _HEADER or header[58:60] != b"`\n":
            raise DamagedInputError(f"The archive has no member header at byte {position}.")
        raw, size = header[:16].rstrip(b" "), _number(header[48:58], position)
        data = position + _HEADER
        if data + size > blob.size:
            raise DamagedInputError(f"The archive ends within its member at byte {position}.")
        position = data + size + (size & 1)
        if raw == b"//":
            if size > _MAX_NAMES:
                raise DamagedInputError("The archive's table of long names is not plausible.")
            long_names = blob.read_at(data, size)
        elif raw not in _TABLES:
            name, skipped = _name(blob, raw, long_names, data, size)
            yield ArchiveMember(name, data + skipped, size - skipped)


def _name(blob: Blob, raw: bytes, long_names: bytes, data: int, size: int) -> tuple[str, int]:
    """Return a member's name and how many bytes of its data the name takes (BSD's way)."""
    if raw.startswith(b"#1/"):
        length = _number(raw[3:], data)
        if length > size:
            raise DamagedInputError("The archive's member is shorter than its own name.")
        return _text(blob.read_at(data, length).rstrip(b"\0")), length
    if raw.startswith(b"/") and raw[1:].isdigit():
        start = int(raw[1:])
        end = long_names.find(b"\n", start)
        return _text(long_names[start : end if end >= 0 else None].rstrip(b"/")), 0
    return _text(raw.rstrip(b"/")), 0


def _number(field: bytes, position: int) -> int:
    text = field.strip()
    if not text.isdigit():
        raise DamagedInputError(f"The archive's member header at byte {position} has no size.")
    return int(text)


def _text(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")
