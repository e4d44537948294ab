"""Reads the entries of regions, and writes regions from old and new entries.

The layout of regions and entries is that of `smforge.inventory.formats.fatbin` (docs/format.md).
What is written here follows NVIDIA's fatbinary, byte for byte where a test can compare the two.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

import lz4.block
import zstandard

from smforge.arch.target import ComputeCapability, Suffix, Target
from smforge.errors import DamagedInputError
from smforge.inventory.formats import elf
from smforge.inventory.formats.blob import Blob, BytesBlob
from smforge.inventory.formats.fatbin import REGION_MAGIC, Entry, read_entries, region_end
from smforge.inventory.records import Compression, Kind

_HEAD: Final = struct.Struct("<HHIQ")
_ENTRY: Final = struct.Struct("<HHIQIIHHIIIQQQ")
_REGION: Final = struct.Struct("<8sQ")
_OPTIONS: Final = struct.Struct("<II")
_VERSION: Final = 0x101
_PTX, _CUBIN = 1, 2
_CUBIN_VERSION: Final = (1, 8)
"""The code version that fatbinary of CUDA 12 and 13 writes for a cubin."""
_BITS_64, _LINUX = 0x1, 0x10
_COMPATIBILITY: Final = 0x1000000
_COMPATIBILITY_SECTION: Final = ".nv.compat"
_FIRST_WITH_COMPATIBILITY: Final = 10
"""The first major whose entries repeat the section: measured with fatbinary 13.0."""
_COMPRESSIONS: Final = {Compression.NONE: 0, Compression.LZ4: 0x2000, Compression.ZSTD: 0x8000}
_SUFFIXES: Final = {
    Suffix.PLAIN: 0,
    Suffix.ARCH_SPECIFIC: 0x100000,
    Suffix.FAMILY_SPECIFIC: 0x200000,
}
_PTX_OPTIONS_AT: Final = 64
_ALIGN: Final = 8


class Place(NamedTuple):
    """One entry of a region, and the bytes that it takes in the file."""

    entry: Entry
    start: int
    end: int
    options: str
    """Of PTX: what the compiler recorded for the assembler, such as ``-O1``; else empty."""


def entry_places(blob: Blob, offset: int, limit: int) -> tuple[Place, ...]:
    """Return the entries of the region at `offset`. Raises `DamagedInputError` for other bytes."""
    end = region_end(blob, offset, limit)
    places = []
    start = offset + _REGION.size
    for entry in read_entries(blob, offset, end):
        _kind, _version, header_size, padded = _HEAD.unpack(blob.read_at(start, _HEAD.size))
        options = _options(blob, start, header_size) if entry.kind is Kind.PTX else ""
        places.append(Place(entry, start, start + header_size + padded, options))
        start += header_size + padded
    return tuple(places)


def _options(blob: Blob, start: int, header_size: int) -> str:
    """The assembler's options in the header of a PTX entry."""
    fields = _ENTRY.unpack(blob.read_at(start, _ENTRY.size))
    at = fields[5]
    if not at:
        return ""
    if at + _OPTIONS.size > header_size:
        raise DamagedInputError("The options of a PTX entry are outside its header.")
    where, length = _OPTIONS.unpack(blob.read_at(start + at, _OPTIONS.size))
    if not length:
        return ""
    if where + length > header_size:
        raise DamagedInputError("The options of a PTX entry are outside its header.")
    text = blob.read_at(start + where, length).split(b"\0")[0]
    return text.decode("ascii", "backslashreplace")


def region_header(content: int) -> bytes:
    """Return the header of a region of `content` bytes."""
    return _REGION.pack(REGION_MAGIC, content)


def cubin_entry(cubin: bytes, target: Target, compression: Compression) -> bytes:
    """Return the entry that holds a cubin. Raises `DamagedInputError` for other bytes."""
    extra, options, flag = b"", 0, 0
    if target.capability.major >= _FIRST_WITH_COMPATIBILITY:
        section = _section(cubin, _COMPATIBILITY_SECTION)
        # The assembler's options, of which there are none, end with a NUL before it.
        place = _OPTIONS.pack(_ENTRY.size + _OPTIONS.size, len(section))
        extra = _padded(place + b"\0" + section)
        options, flag = _ENTRY.size, _COMPATIBILITY
    major, minor = _CUBIN_VERSION
    return _pack(_CUBIN, (major, minor), target, cubin, compression, options, flag, extra)


def marker_entry(kept: Sequence[ComputeCapability]) -> bytes:
    """Return an entry that no kept device takes: empty PTX for one device that is not kept.

    It is for a region that would be empty otherwise. The driver finds nothing for a kept
    device in it, as it found nothing in the whole region.
    """
    target, isa = next(row for row in _MARKERS if row[0].capability not in kept)
    text = f".version {isa[0]}.{isa[1]}\n.target sm_{target.sm[3:]}\n.address_size 64\n\0"
    extra = _OPTIONS.pack(_ENTRY.size + _OPTIONS.size, 0) + bytes(8)
    return _pack(_PTX, isa, target, text.encode(), Compression.NONE, _PTX_OPTIONS_AT, 0, extra)


_MARKERS: Final = (
    (Target(ComputeCapability(9, 0), Suffix.ARCH_SPECIFIC), (8, 0)),
    (Target(ComputeCapability(10, 0), Suffix.ARCH_SPECIFIC), (8, 6)),
    (Target(ComputeCapability(10, 3), Suffix.ARCH_SPECIFIC), (8, 8)),
)
"""Architecture-specific PTX, which one device alone takes, and the PTX ISA that first knew it."""


def _pack(  # noqa: PLR0913, PLR0917 - one per field
    kind: int,
    version: tuple[int, int],
    target: Target,
    data: bytes,
    compression: Compression,
    options: int,
    flags: int,
    extra: bytes,
) -> bytes:
    stored = _compressed(data, compression)
    if len(stored) >= len(data):
        stored, compression = data, Compression.NONE
    packed = compression is not Compression.NONE
    payload = _padded(stored)
    major, minor = version
    header = _ENTRY.pack(
        kind, _VERSION, _ENTRY.size + len(extra), len(payload), len(stored) if packed else 0,
        options, minor, major, target.capability.number, 0, 0,
        _BITS_64 | _LINUX | flags | _COMPRESSIONS[compression] | _SUFFIXES[target.suffix],
        0, len(data) if packed else 0,
    )  # fmt: skip
    return header + extra + payload


def _compressed(data: bytes, compression: Compression) -> bytes:
    match compression:
        case Compression.ZSTD:
            return zstandard.ZstdCompressor(level=12, write_checksum=False).compress(data)
        case Compression.LZ4:
            packed: bytes = lz4.block.compress(data, mode="high_compression", store_size=False)
            return packed
        case _:
            return data


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % _ALIGN)


def _section(cubin: bytes, name: str) -> bytes:
    blob = BytesBlob(cubin)
    header = elf.read_header(blob)
    if header.machine != elf.MACHINE_CUDA:
        raise DamagedInputError("The assembler's output is no cubin.")
    for section in elf.read_sections(blob, header):
        if section.name == name:
            return blob.read_at(section.offset, section.size)
    return b""
