"""Writes a library anew, with other code objects in its regions."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from smforge.errors import DamagedInputError
from smforge.inventory.formats.blob import FileBlob, chunks
from smforge.rewrite.entries import region_header
from smforge.rewrite.host_elf import HEADER, SECTION, SEGMENT, HostElf, Reference
from smforge.rewrite.layout import Layout, lay_out

_WORD: Final = struct.Struct("<Q")
_COPY: Final = 1 << 26


class Piece(NamedTuple):
    """Bytes of a new region: a range of the old file, or bytes that were made."""

    start: int
    end: int
    made: bytes = b""

    @property
    def size(self) -> int:
        return len(self.made) or self.end - self.start


class NewRegion(NamedTuple):
    """A region as it is to be written."""

    old_offset: int
    """Where it begins in the old file."""
    pieces: tuple[Piece, ...]

    @property
    def content(self) -> int:
        """Bytes of its entries."""
        return sum(piece.size for piece in self.pieces)

    @property
    def size(self) -> int:
        """Bytes of the region, its header included."""
        return self.content + len(region_header(0))


def write_library(
    old: FileBlob,
    library: HostElf,
    found: Sequence[Reference],
    regions: Sequence[NewRegion],
    into: Path,
) -> Layout:
    """Write the library with `regions` to a new file `into`, and return where all of it lies.

    Raises `DamagedInputError` where a word points into its GPU code at something else than a
    region, and `OSError` as the file system does; the file is then incomplete.
    """
    layout = lay_out(library, old.size, [one.size for one in regions])
    words = _new_words(library, layout, found, regions)
    descriptor = os.open(into, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        os.ftruncate(descriptor, layout.size)
        _copy(old, 0, layout.cut_start or old.size, descriptor, 0)
        if layout.cut_start:
            _copy(old, layout.cut_end, old.size, descriptor, layout.cut_start)
        for start, end in layout.cleared:
            _put(descriptor, layout.moved(start) if start < end else start, bytes(end - start))
        for offset, value in words.items():
            _put(descriptor, layout.moved(offset), _WORD.pack(value))
        _write_tables(descriptor, library, layout)
        for place, region in zip(layout.region_offsets, regions, strict=True):
            _write_region(old, descriptor, place, region)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return layout


def _new_words(
    library: HostElf, layout: Layout, found: Iterable[Reference], regions: Sequence[NewRegion]
) -> dict[int, int]:
    """The new value of every word that points at GPU code, by its place in the old file."""
    section, moved = library.section, layout.sections[library.fatbin]
    by_address = {section.address + section.size: moved.address + moved.size}
    by_address[section.address] = moved.address
    for region, address in zip(regions, layout.region_addresses, strict=True):
        by_address[region.old_offset - section.offset + section.address] = address
    words: dict[int, int] = {}
    for one in found:
        target = by_address.get(one.address)
        if target is None:
            raise DamagedInputError(
                "The library cannot be rewritten: "
                f"{one.place} points into the middle of a region, at {one.address:#x}.",
                remedy="Keep it as it is, or build it for the devices that you need.",
            )
        words[one.offset] = target
    return words


def _write_tables(descriptor: int, library: HostElf, layout: Layout) -> None:
    _put(descriptor, 0, HEADER.pack(library.ident, *layout.header))
    _put(descriptor, layout.header[4], b"".join(SEGMENT.pack(*one) for one in layout.segments))
    _put(descriptor, layout.header[5], b"".join(SECTION.pack(*one) for one in layout.sections))


def _write_region(old: FileBlob, descriptor: int, place: int, region: NewRegion) -> None:
    _put(descriptor, place, region_header(region.content))
    place += len(region_header(0))
    for piece in region.pieces:
        if piece.made:
            _put(descriptor, place, piece.made)
        else:
            _copy(old, piece.start, piece.end, descriptor, place)
        place += piece.size


def _copy(old: FileBlob, start: int, end: int, descriptor: int, place: int) -> None:
    for part in chunks(old, start, end, _COPY):
        _put(descriptor, place, part)
        place += len(part)


def _put(descriptor: int, place: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, place)
        view = view[written:]
        place += written
