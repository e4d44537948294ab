"""Programs and libraries for Windows: their sections, and where a loaded byte lies in the file.

Format: Microsoft's "PE Format" ("MS-DOS Stub", "COFF File Header", "Optional Header", "Section
Table"). Section names have eight bytes there, so nvcc's ``.nv_fatbin`` is ``.nv_fatb``.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from smforge.inventory.formats.blob import Blob

MAGIC: Final = b"MZ"
FATBINS: Final = ".nv_fatb"
RELOCATABLE_FATBINS: Final = "__nv_rel"
REGISTRATIONS: Final = ".nvFatBi"

_SIGNATURE = b"PE\0\0"
_OFFSET_AT = 0x3C
_COFF = struct.Struct("<4sHH12xH2x")
_SECTION = struct.Struct("<8s4I12xI")
_IMAGE_BASES = {0x20B: (24, 8), 0x10B: (28, 4)}
"""Place and size of the preferred address in the optional header, by its magic (64 and 32 bits)."""
MACHINES: Final = {0x8664: "x86_64", 0xAA64: "aarch64", 0x14C: "i386"}


class Section(NamedTuple):
    """One row of the section table."""

    name: str
    address: int
    """From the address at which the file is loaded."""
    offset: int
    size: int
    """Bytes in the file."""

    @property
    def end(self) -> int:
        return self.offset + self.size


class WindowsFile(NamedTuple):
    """What the headers say."""

    machine: str | None
    image_base: int
    """The address that pointers in the file assume."""
    sections: tuple[Section, ...]

    def offset_of(self, pointer: int) -> int | None:
        """Return where the byte lies that a pointer in the file names."""
        address = pointer - self.image_base
        for section in self.sections:
            if 0 <= address - section.address < section.size:
                return section.offset + address - section.address
        return None


def read_windows_file(blob: Blob) -> WindowsFile | None:
    """Read the headers; None where they are not those of a file for Windows."""
    if blob.size < _OFFSET_AT + 4 or blob.read_at(0, 2) != MAGIC:
        return None
    header = int.from_bytes(blob.read_at(_OFFSET_AT, 4), "little")
    if header + _COFF.size > blob.size:
        return None
    signature, machine, count, length = _COFF.unpack(blob.read_at(header, _COFF.size))
    optional = header + _COFF.size
    if signature != _SIGNATURE or optional + length > blob.size:
        return None
    end = min(optional + length + count * _SECTION.size, blob.size)
    size = max(end - optional - length, 0) // _SECTION.size * _SECTION.size
    rows = _SECTION.iter_unpack(blob.read_at(optional + length, size))
    sections = tuple(
        Section(name.rstrip(b"\0").decode("latin-1"), address, offset, stored)
        for name, _virtual, address, stored, offset, _flags in rows
    )
    return WindowsFile(
        MACHINES.get(machine), _image_base(blob.read_at(optional, min(length, 64))), sections
    )


def _image_base(optional: bytes) -> int:
    at, size = _IMAGE_BASES.get(int.from_bytes(optional[:2], "little"), (0, 0))
    return int.from_bytes(optional[at : at + size], "little")
