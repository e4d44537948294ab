"""Programs and libraries for Windows: as much of them as tells whether they hold GPU code.

Format: Microsoft's "PE Format" ("MS-DOS Stub", "COFF File Header", "Section Table"). Section names
have eight bytes there, so nvcc's ``.nv_fatbin`` is ``.nv_fatb``.
"""

from __future__ import annotations

import struct
from typing import Final

from smforge.inventory.formats.blob import Blob

MAGIC: Final = b"MZ"
_SIGNATURE = b"PE\0\0"
_OFFSET_AT = 0x3C
_COFF = struct.Struct("<4s2xH12xH2x")
_SECTION = struct.Struct("<8s32x")
_GPU_SECTIONS = frozenset({b".nv_fatb", b"__nv_rel", b".nvFatBi"})
_MOST_SECTIONS = 0xFFFF


def is_windows_file(blob: Blob) -> bool:
    """Whether a file has the headers of a program or library for Windows."""
    return _sections_at(blob) is not None


def has_gpu_section(blob: Blob) -> bool:
    """Whether its section table names a section that nvcc makes for GPU code."""
    found = _sections_at(blob)
    if found is None:
        return False
    offset, count = found
    end = min(offset + count * _SECTION.size, blob.size)
    table = blob.read_at(offset, max(end - offset, 0) // _SECTION.size * _SECTION.size)
    return any(name in _GPU_SECTIONS for (name,) in _SECTION.iter_unpack(table))


def _sections_at(blob: Blob) -> tuple[int, int] | None:
    """Where the section table begins, and its number of rows; None for another format."""
    if blob.size < _OFFSET_AT + 4 or blob.read_at(0, 2) != MAGIC:
        return None
    header = int.from_bytes(blob.read_at(_OFFSET_AT, 4), "little")
    if header + _COFF.size > blob.size:
        return None
    signature, count, optional = _COFF.unpack(blob.read_at(header, _COFF.size))
    if signature != _SIGNATURE or header + _COFF.size + optional > blob.size:
        return None
    return header + _COFF.size + optional, min(count, _MOST_SECTIONS)
