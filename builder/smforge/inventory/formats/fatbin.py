"""The fatbin container: regions of entries, each entry one code object for one target.

The format is not published. What is read here was found by measuring real files; see
docs/format.md.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from smforge.arch.target import ComputeCapability, Suffix, Target
from smforge.errors import DamagedInputError
from smforge.inventory.formats.blob import Blob
from smforge.inventory.records import Compression, Kind

REGION_MAGIC: Final = b"\x50\xed\x55\xba\x01\x00\x10\x00"
"""Magic 0xBA55ED50, version 1, header of 16 bytes."""

_REGION = struct.Struct("<8sQ")
_ENTRY = struct.Struct("<HHIQIIHHIIIQQQ")
_MAX_HEADER = 4096

KINDS: Final = {
    0x1: Kind.PTX,
    0x2: Kind.CUBIN,
    0x4: Kind.OLD_CUBIN,
    0x8: Kind.LTO_IR,
    0x20: Kind.INDEX,
    0x40: Kind.RELOCATABLE_PTX,
    0x80: Kind.TILE_IR,
    0x100: Kind.CONCATENATED,
}

_COMPRESSIONS: Final = {
    0x1000: Compression.ZLIB,
    0x2000: Compression.LZ4,
    0x8000: Compression.ZSTD,
}
_COMPRESSION_MASK = 0x1000 | 0x2000 | 0x8000
_SUFFIXES: Final = {
    0: Suffix.PLAIN,
    0x100000: Suffix.ARCH_SPECIFIC,
    0x200000: Suffix.FAMILY_SPECIFIC,
}
_SUFFIX_MASK = 0x100000 | 0x200000


TEXTS: Final = (Kind.PTX, Kind.RELOCATABLE_PTX)
"""The kinds whose code is text; the version of such an entry is that of the language."""


class Entry(NamedTuple):
    """One entry of a region: what its header says, and where its payload lies."""

    kind: Kind
    target: Target
    version: tuple[int, int]
    """Of the code: for PTX its ISA (9, 0)."""
    offset: int
    """Of the payload, from the start of the file."""
    stored: int
    """Bytes of the payload as stored, without padding."""
    size: int
    """Bytes of the payload once decompressed."""
    compression: Compression


def region_end(blob: Blob, offset: int, limit: int) -> int:
    """Return where the region at `offset` ends; it must end by `limit`.

    Raises `DamagedInputError` where no region starts there or it runs over `limit`.
    """
    if offset + _REGION.size > limit:
        raise DamagedInputError("A fatbin region starts too close to the end of its section.")
    magic, size = _REGION.unpack(blob.read_at(offset, _REGION.size))
    if magic != REGION_MAGIC:
        raise DamagedInputError("There is no fatbin region where one is expected.")
    end: int = offset + _REGION.size + size
    if end > limit:
        raise DamagedInputError(
            f"A fatbin region of {size} bytes runs {end - limit} bytes over its section."
        )
    return end


def read_entries(blob: Blob, offset: int, end: int) -> Iterator[Entry]:
    """Yield the entries of the region from `offset` to `end`.

    Raises `DamagedInputError` at the first entry that contradicts the format; what follows it
    in the region cannot be found.
    """
    position = offset + _REGION.size
    while position < end:
        if position + _ENTRY.size > end:
            raise DamagedInputError("A fatbin region ends within an entry's header.")
        fields = _ENTRY.unpack(blob.read_at(position, _ENTRY.size))
        header_size, payload_size = fields[2], fields[3]
        following = position + header_size + payload_size
        if not _ENTRY.size <= header_size <= _MAX_HEADER or following > end:
            raise DamagedInputError(
                f"A fatbin entry of {header_size} + {payload_size} bytes does not fit its region."
            )
        yield _entry(fields, position)
        position = following


def _entry(fields: tuple[int, ...], position: int) -> Entry:
    (kind, _version, header_size, padded, compressed, _options, minor, major, arch, _name,
     _name_length, flags, _reserved, uncompressed) = fields  # fmt: skip
    packing = flags & _COMPRESSION_MASK
    if packing:
        compression = _COMPRESSIONS.get(packing)
        if compression is None:
            raise DamagedInputError("A fatbin entry names two compressions at once.")
        if compressed > padded:
            raise DamagedInputError("A fatbin entry's payload is larger than its place.")
        stored, size = compressed, uncompressed
    else:
        compression, stored, size = Compression.NONE, padded, padded
    return Entry(
        kind=KINDS.get(kind, Kind.UNKNOWN),
        target=_target(arch, flags & _SUFFIX_MASK),
        version=(major, minor),
        offset=position + header_size,
        stored=stored,
        size=size,
        compression=compression,
    )


@lru_cache(256)
def _target(number: int, mark: int) -> Target:
    """One object for the thousands of entries that a library has for a target."""
    suffix = _SUFFIXES.get(mark)
    if suffix is None:
        raise DamagedInputError("A fatbin entry is marked both a and f.")
    return Target(ComputeCapability.from_number(number), suffix)
