"""The new layout of a library after its section of regions has changed its size.

Addresses of code and data stay, for code refers to them by distance. A smaller section of regions
stays where it is: the bytes that it no longer takes leave the file, and the loadable segment around
them is split in two. A larger one gets a segment of its own behind all others. Either way there is
one program header more than before, so the table of them moves in front of the regions. Nothing
here reads or writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from smforge.errors import DamagedInputError
from smforge.inventory.formats import elf
from smforge.rewrite.host_elf import HEADER, PT_PHDR, SEGMENT, HostElf, SectionRow, SegmentRow

REGION_ALIGN: Final = 16
_READ: Final = 4
_PAGE: Final = 4096
_WORTH_CUTTING: Final = 64 << 10
"""Bytes below which a smaller section stays in its place: the file would hardly shrink."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The tables of the new file and the places of its parts. Offsets are bytes in the file."""

    cut_start: int
    """The bytes of the old file from here…"""
    cut_end: int
    """…to here are left out; the following bytes move forward."""
    cleared: tuple[tuple[int, int], ...]
    """Ranges of the old file that become zeros in the new one."""
    header: tuple[int, ...]
    """The fields of the ELF header after its identification."""
    segments: tuple[SegmentRow, ...]
    sections: tuple[SectionRow, ...]
    region_offsets: tuple[int, ...]
    """Where the regions begin in the new file."""
    region_addresses: tuple[int, ...]
    size: int
    """Of the new file."""

    def moved(self, offset: int) -> int:
        """The new offset of a byte of the old file outside the cut."""
        assert not self.cut_start <= offset < self.cut_end
        return offset if offset < self.cut_start else offset - (self.cut_end - self.cut_start)

    @property
    def removed(self) -> int:
        """How many bytes leave the file."""
        return self.cut_end - self.cut_start


def lay_out(library: HostElf, file_size: int, region_sizes: Sequence[int]) -> Layout:
    """Find a place for regions of the given sizes, in bytes.

    Raises `DamagedInputError` if another section or segment overlaps the old one.
    """
    section = library.section
    end = section.offset + section.size
    align = _alignment(library)
    table_size = SEGMENT.size * (len(library.segments) + 1)

    # At its old place, with the program headers before it and the unused bytes taken out.
    table = _aligned(section.offset)
    offsets, stop = _places(_aligned(table + table_size), region_sizes)
    cut = _Cut(stop, stop + (end - stop) // align * align)
    if cut.end - cut.start >= _WORTH_CUTTING:
        return _shrunk(library, file_size, cut, table, offsets, region_sizes)

    # At its old place; only the regions move.
    offsets, stop = _places(_aligned(section.offset), region_sizes)
    if stop <= end:
        return _in_place(library, file_size, offsets, region_sizes)

    # Behind everything else, and all of its old place taken out.
    start = min(_aligned(section.offset), end)
    cut = _Cut(start, start + (end - start) // align * align)
    return _behind_everything(library, file_size, cut, region_sizes)


class _Cut(NamedTuple):
    """The range of the old file that is left out; empty where both ends are equal."""

    start: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start


def _in_place(
    library: HostElf, file_size: int, offsets: tuple[int, ...], region_sizes: Sequence[int]
) -> Layout:
    section = library.section
    return Layout(
        cut_start=0,
        cut_end=0,
        cleared=((section.offset, section.offset + section.size),),
        header=library.header,
        segments=library.segments,
        sections=_with_section(library, library.sections, section, offsets, region_sizes),
        region_offsets=offsets,
        region_addresses=tuple(one - section.offset + section.address for one in offsets),
        size=file_size,
    )


def _shrunk(  # noqa: PLR0913, PLR0917 - a place each
    library: HostElf,
    file_size: int,
    cut: _Cut,
    table: int,
    offsets: tuple[int, ...],
    region_sizes: Sequence[int],
) -> Layout:
    section = library.section
    segments = _without(library, cut)
    return Layout(
        cut_start=cut.start,
        cut_end=cut.end,
        cleared=_cleared(library, cut),
        header=_header(library, cut, table, len(segments)),
        segments=_with_table(segments, table, table - section.offset + section.address),
        sections=_with_section(
            library, _moved_sections(library, cut), section, offsets, region_sizes
        ),
        region_offsets=offsets,
        region_addresses=tuple(one - section.offset + section.address for one in offsets),
        size=file_size - cut.size,
    )


def _behind_everything(
    library: HostElf, file_size: int, cut: _Cut, region_sizes: Sequence[int]
) -> Layout:
    section, align = library.section, _alignment(library)
    segments = _without(library, cut)
    table = _aligned(file_size - cut.size)
    beyond = max(one.address + one.memory_size for one in segments if one.type == elf.PT_LOAD)
    # File offset and address agree below the alignment, as the loader demands.
    address = (beyond + align - 1) // align * align + table % align
    offsets, stop = _places(_aligned(table + SEGMENT.size * (len(segments) + 1)), region_sizes)
    own = SegmentRow(elf.PT_LOAD, _READ, table, address, address, stop - table, stop - table, align)
    # The loader wants loadable segments in the order of their addresses.
    last = max(number for number, one in enumerate(segments) if one.type == elf.PT_LOAD)
    segments.insert(last + 1, own)
    here = section._replace(offset=table, address=address)
    return Layout(
        cut_start=cut.start,
        cut_end=cut.end,
        cleared=_cleared(library, cut),
        header=_header(library, cut, table, len(segments)),
        segments=_with_table(segments, table, address),
        sections=_with_section(library, _moved_sections(library, cut), here, offsets, region_sizes),
        region_offsets=offsets,
        region_addresses=tuple(one - table + address for one in offsets),
        size=stop,
    )


def _alignment(library: HostElf) -> int:
    return max(_PAGE, *(one.align for one in library.segments if one.type == elf.PT_LOAD))


def _without(library: HostElf, cut: _Cut) -> list[SegmentRow]:
    """The segments once the cut is taken out."""
    _check_neighbours(library, cut.start, cut.end)
    around = library.segment
    segments = [
        row
        for one in library.segments
        for row in (_split(one, cut.start, cut.end) if one is around else (one,))
    ]
    return [
        one._replace(offset=one.offset - cut.size) if cut.size and one.offset >= cut.end else one
        for one in segments
    ]


def _with_table(
    segments: Sequence[SegmentRow], offset: int, address: int
) -> tuple[SegmentRow, ...]:
    """The segments, with the one that says where their own table lies."""
    size = SEGMENT.size * len(segments)
    return tuple(
        one._replace(
            offset=offset, address=address, physical=address, file_size=size, memory_size=size
        )
        if one.type == PT_PHDR
        else one
        for one in segments
    )


def _moved_sections(library: HostElf, cut: _Cut) -> tuple[SectionRow, ...]:
    return tuple(
        row._replace(offset=row.offset - cut.size) if cut.size and row.offset >= cut.end else row
        for row in library.sections
    )


def _with_section(
    library: HostElf,
    rows: Sequence[SectionRow],
    place: SectionRow,
    offsets: Sequence[int],
    region_sizes: Sequence[int],
) -> tuple[SectionRow, ...]:
    """The sections, with the one of regions where they are now; `place` ties offset and address."""
    first = offsets[0] if offsets else place.offset
    end = offsets[-1] + region_sizes[-1] if offsets else first
    rows = list(rows)
    rows[library.fatbin] = library.section._replace(
        address=first - place.offset + place.address, offset=first, size=end - first
    )
    return tuple(rows)


def _header(library: HostElf, cut: _Cut, table: int, count: int) -> tuple[int, ...]:
    header = list(library.header)
    if cut.size and header[_SECTIONS_AT] >= cut.end:
        header[_SECTIONS_AT] -= cut.size
    header[_SEGMENTS_AT] = table
    header[_SEGMENT_COUNT] = count
    return tuple(header)


def _cleared(library: HostElf, cut: _Cut) -> tuple[tuple[int, int], ...]:
    """What becomes zeros: the old table of segments, and what the cut leaves of the old section."""
    table, section = library.header[_SEGMENTS_AT], library.section
    return (
        (table, table + SEGMENT.size * len(library.segments)),
        (section.offset, cut.start),
        (cut.end, section.offset + section.size),
    )


_SEGMENTS_AT, _SECTIONS_AT, _SEGMENT_COUNT = 4, 5, 9
"""Of the fields of the ELF header after its identification: e_phoff, e_shoff, e_phnum."""


def _split(segment: SegmentRow, cut_start: int, cut_end: int) -> tuple[SegmentRow, ...]:
    """Divide the segment around the cut; a part without bytes and memory is left out."""
    if cut_start == cut_end:
        return (segment,)
    before = cut_start - segment.offset
    skipped = cut_end - segment.offset
    parts = (
        segment._replace(file_size=before, memory_size=before),
        segment._replace(
            offset=cut_end,
            address=segment.address + skipped,
            physical=segment.physical + skipped,
            file_size=segment.file_size - skipped,
            memory_size=segment.memory_size - skipped,
        ),
    )
    return tuple(one for one in parts if one.memory_size)


def _check_neighbours(library: HostElf, cut_start: int, cut_end: int) -> None:
    """Refuse any other section or segment than the known ones that overlaps the cut."""
    for number, row in enumerate(library.sections):
        if number == library.fatbin or row.type in (0, elf.SHT_NOBITS) or not row.size:
            continue
        if row.offset < cut_end and row.offset + row.size > library.section.offset:
            raise _across(f"section {library.names[number]!r}")
    around = library.segment
    for one in library.segments:
        if one is around or not one.file_size:
            continue
        if one.offset < cut_end and one.offset + one.file_size > cut_start:
            raise _across(f"segment of type {one.type:#x}")
    tables = (
        (library.header[_SEGMENTS_AT], SEGMENT.size * len(library.segments)),
        (0, HEADER.size),
    )
    if any(start < cut_end and start + size > cut_start for start, size in tables):
        raise _across("table")


def _across(what: str) -> DamagedInputError:
    return DamagedInputError(
        f"The library cannot be rewritten: a {what} overlaps its GPU code.",
        remedy="Keep it as it is, or build it for the devices that you need.",
    )


def _places(start: int, sizes: Sequence[int]) -> tuple[tuple[int, ...], int]:
    """Where regions of these sizes begin, one behind the other, and where the last one ends."""
    places = []
    for size in sizes:
        places.append(start)
        start += _aligned(size)
    return tuple(places), start


def _aligned(value: int) -> int:
    return (value + REGION_ALIGN - 1) // REGION_ALIGN * REGION_ALIGN
