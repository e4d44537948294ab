"""The parts of a host library for rewriting: its tables, and the words that point at its GPU code.

Only 64-bit little-endian shared objects with a section table are taken. Formats: System V ABI
(gABI), "Object Files" and "Dynamic Linking"; relative relocations of x86-64 and AArch64 as in
their processor supplements; SHT_RELR as in gABI's 2022 draft.
"""

from __future__ import annotations

import itertools
import struct
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from smforge.errors import DamagedInputError
from smforge.inventory.formats import elf
from smforge.inventory.formats.blob import Blob
from smforge.inventory.native.registrations import MAGIC, WRAPPER
from smforge.inventory.native.registrations import SECTION as WRAPPER_SECTION

FATBIN_SECTION: Final = ".nv_fatbin"

HEADER: Final = struct.Struct("<16sHHIQQQIHHHHHH")
SEGMENT: Final = struct.Struct("<IIQQQQQQ")
SECTION: Final = struct.Struct("<IIQQQQIIQQ")
_SYMBOL: Final = struct.Struct("<IBBHQQ")
_RELA: Final = struct.Struct("<QQq")
_WORD: Final = struct.Struct("<Q")

PT_PHDR: Final = 6
_PT_INTERP: Final = 3
_ET_DYN: Final = 3
_SHT_RELA: Final = 4
_SHT_REL: Final = 9
_SHT_RELR: Final = 19
SHF_ALLOC: Final = 2
_RELATIVE: Final = {62: 8, 183: 1027}
"""R_X86_64_RELATIVE and R_AARCH64_RELATIVE, by e_machine."""
_CHUNK: Final = 24 * 65536


class SegmentRow(NamedTuple):
    """One program header, in the order of its fields."""

    type: int
    flags: int
    offset: int
    address: int
    physical: int
    file_size: int
    memory_size: int
    align: int


class SectionRow(NamedTuple):
    """One section header, in the order of its fields."""

    name: int
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entry_size: int


class Reference(NamedTuple):
    """A word of the file that holds an address within the GPU code."""

    offset: int
    """Bytes from the start of the file."""
    address: int
    """Its value."""
    place: str
    """The section that holds the word."""
    fills: int | None = None
    """Bytes from the start of the file of the word that the loader writes the address to."""


@dataclass(frozen=True, slots=True)
class HostElf:
    """The tables of a library, and the place of its GPU code."""

    header: tuple[int, ...]
    """The fields of the ELF header after its identification."""
    ident: bytes
    segments: tuple[SegmentRow, ...]
    sections: tuple[SectionRow, ...]
    names: tuple[str, ...]
    """Of the sections, in their order."""
    fatbin: int
    """The number of the section of regions."""

    @property
    def machine(self) -> int:
        return self.header[1]

    @property
    def section(self) -> SectionRow:
        """The section of regions."""
        return self.sections[self.fatbin]

    @property
    def segment(self) -> SegmentRow:
        """The loadable segment that holds the section of regions."""
        (found,) = self._segments_around(self.section)
        return found

    def _segments_around(self, section: SectionRow) -> list[SegmentRow]:
        return [
            one
            for one in self.segments
            if one.type == elf.PT_LOAD
            and one.offset <= section.offset
            and section.offset + section.size <= one.offset + one.file_size
            and section.address - one.address == section.offset - one.offset
        ]

    def file_offset(self, address: int) -> int | None:
        """The offset in the file of an address of the loaded library; None if there is none."""
        for one in self.segments:
            if one.type == elf.PT_LOAD and 0 <= address - one.address < one.file_size:
                return one.offset + address - one.address
        return None

    def address(self, offset: int) -> int | None:
        """The address that a byte of the file is loaded to; None if it is not loaded."""
        for one in self.segments:
            if one.type == elf.PT_LOAD and 0 <= offset - one.offset < one.file_size:
                return one.address + offset - one.offset
        return None


def read_host_elf(blob: Blob) -> HostElf:
    """Read the tables of a library with registered GPU code.

    Raises `DamagedInputError` where the file is no such library or has a form that cannot be
    rewritten: the message says which.
    """
    head = blob.read_at(0, min(64, blob.size))
    if not elf.is_little_endian_elf(head) or len(head) < HEADER.size or head[4] != 2:
        raise _refused("it is no 64-bit little-endian ELF file")
    ident, *fields = HEADER.unpack(head)
    kind, machine = fields[0], fields[1]
    if kind != _ET_DYN or machine not in _RELATIVE:
        raise _refused("it is no shared library for x86-64 or AArch64")
    segments = tuple(map(SegmentRow._make, _rows(blob, fields[4], fields[8], fields[9], SEGMENT)))
    if any(one.type == _PT_INTERP for one in segments):
        raise _refused("it is a program, whose program headers cannot be moved on every kernel")
    parsed = elf.read_sections(blob, elf.parse_header(head))
    if not parsed:
        raise _refused("its section table was stripped")
    sections = tuple(
        map(SectionRow._make, _rows(blob, fields[5], fields[10], len(parsed), SECTION))
    )
    names = tuple(one.name for one in parsed)
    if names.count(FATBIN_SECTION) != 1:
        raise _refused(f"it has {names.count(FATBIN_SECTION)} sections {FATBIN_SECTION}")
    found = HostElf(tuple(fields), ident, segments, sections, names, names.index(FATBIN_SECTION))
    around = found._segments_around(found.section)
    if len(around) != 1 or not found.section.flags & SHF_ALLOC:
        raise _refused(f"{FATBIN_SECTION} lies in {len(around)} loadable segments")
    _check_places(blob, found)
    return found


def _check_places(blob: Blob, library: HostElf) -> None:
    for row, name in zip(library.sections, library.names, strict=True):
        if row.type == elf.SHT_NOBITS:
            continue
        if row.offset + row.size > blob.size:
            raise DamagedInputError(f"The file ends before its section {name!r} does.")
        if row.flags & SHF_ALLOC and row.size and library.file_offset(row.address) != row.offset:
            raise _refused(f"its section {name!r} is loaded from another place than it stands at")
    for one in library.segments:
        if one.offset + one.file_size > blob.size:
            raise DamagedInputError("The file ends before one of its segments does.")
    header, table = library.header, SEGMENT.size * len(library.segments)
    places = [(0, HEADER.size), (header[4], header[4] + table)]
    places += [
        (row.offset, row.offset + row.size)
        for row in library.sections
        if row.type not in (0, elf.SHT_NOBITS)
    ]
    loaded = [one for one in library.segments if one.type == elf.PT_LOAD]
    if (
        _overlap(places)
        or any(one.file_size > one.memory_size for one in loaded)
        or _overlap((one.address, one.address + one.memory_size) for one in loaded)
        or _overlap((one.offset, one.offset + one.file_size) for one in loaded)
    ):
        raise _refused("its sections or segments overlap")


def _overlap(ranges: Iterable[tuple[int, int]]) -> bool:
    """Whether two ranges have a byte in common; empty ones have none."""
    placed = sorted(one for one in ranges if one[0] < one[1])
    return any(one[1] > other[0] for one, other in itertools.pairwise(placed))


def _rows(
    blob: Blob, offset: int, size: int, count: int, row: struct.Struct
) -> Iterator[tuple[int, ...]]:
    if size != row.size:
        raise _refused(f"its table rows have {size} bytes instead of {row.size}")
    return row.iter_unpack(blob.read_at(offset, count * row.size))


def references(blob: Blob, library: HostElf) -> tuple[Reference, ...]:
    """Find every word that holds an address within the section of regions.

    These are addends of relative relocations (with the word that they fill, where it repeats the
    address), packed relative relocations, and symbols. Raises `DamagedInputError` for relocations
    of a form that is not known.
    """
    section = library.section
    start, end = section.address, section.address + section.size
    found: dict[int, Reference] = {}
    for row, name in zip(library.sections, library.names, strict=True):
        words: Iterator[tuple[int, int, int | None]]
        if row.type == _SHT_RELA:
            words = _addends(blob, library, row, start, end)
        elif row.type == _SHT_RELR:
            words = _packed(blob, library, row, start, end)
        elif row.type in (elf.SHT_SYMTAB, elf.SHT_DYNSYM):
            words = _symbols(blob, library, row)
        elif row.type == _SHT_REL and row.flags & SHF_ALLOC and row.size:
            raise _refused(f"its relocations {name} keep their addends in place")
        else:
            continue
        for offset, address, fills in words:
            found.setdefault(offset, Reference(offset, address, name, fills))
    places = sorted(found)
    if any(after - before < _WORD.size for before, after in itertools.pairwise(places)):
        raise _refused("words that point at its GPU code overlap")
    return tuple(found[offset] for offset in places)


def _addends(
    blob: Blob, library: HostElf, row: SectionRow, start: int, end: int
) -> Iterator[tuple[int, int, int | None]]:
    relative = _RELATIVE[library.machine]
    if row.entry_size != _RELA.size:
        raise _refused(f"its relocations have {row.entry_size} bytes instead of {_RELA.size}")
    for position in range(row.offset, row.offset + row.size // _RELA.size * _RELA.size, _CHUNK):
        size = min(_CHUNK, row.offset + row.size // _RELA.size * _RELA.size - position)
        words = array("q", blob.read_at(position, size))
        addends = words[2::3]
        for number, addend in enumerate(addends):
            if not start <= addend <= end:
                continue
            if words[3 * number + 1] & 0xFFFFFFFF != relative:
                if words[3 * number + 1] >> 32:
                    continue  # Relative to a symbol: the addend is a distance, not an address.
                raise _refused("a relocation that is not relative points at its GPU code")
            place = library.file_offset(words[3 * number])
            if place is None:
                raise _refused("a relocation of its GPU code fills nothing of the file")
            yield position + _RELA.size * number + 16, addend, place
            if _WORD.unpack(blob.read_at(place, 8))[0] == addend:
                yield place, addend, None


def _packed(
    blob: Blob, library: HostElf, row: SectionRow, start: int, end: int
) -> Iterator[tuple[int, int, int | None]]:
    for place in packed_places(blob.read_at(row.offset, row.size)):
        offset = library.file_offset(place)
        if offset is None:
            raise _refused("a packed relocation fills nothing of the file")
        (value,) = _WORD.unpack(blob.read_at(offset, 8))
        if start <= value <= end:
            yield offset, value, offset


def packed_places(table: bytes) -> Iterator[int]:
    """Yield the addresses that packed relative relocations fill (SHT_RELR)."""
    place = 0
    for (word,) in _WORD.iter_unpack(table[: len(table) // 8 * 8]):
        if word & 1:
            for bit in range(63):
                if word >> (bit + 1) & 1:
                    yield place + 8 * bit
            place += 8 * 63
        else:
            yield word
            place = word + 8


def _symbols(
    blob: Blob, library: HostElf, row: SectionRow
) -> Iterator[tuple[int, int, int | None]]:
    if row.entry_size != _SYMBOL.size:
        raise _refused(f"its symbols have {row.entry_size} bytes instead of {_SYMBOL.size}")
    table = blob.read_at(row.offset, row.size // _SYMBOL.size * _SYMBOL.size)
    for number, symbol in enumerate(_SYMBOL.iter_unpack(table)):
        if symbol[3] == library.fatbin:
            yield row.offset + _SYMBOL.size * number + 8, symbol[4], None


def wrappers(blob: Blob, library: HostElf) -> dict[int, int]:
    """Return where each wrapper's pointer to its region lies in the file, and what it holds.

    Raises `DamagedInputError` where the section of wrappers holds something else.
    """
    found: dict[int, int] = {}
    for row, name in zip(library.sections, library.names, strict=True):
        if name != WRAPPER_SECTION:
            continue
        table = blob.read_at(row.offset, row.size)
        if row.size % WRAPPER.size:
            raise _refused(f"{WRAPPER_SECTION} has {row.size} bytes, no multiple of a wrapper's")
        for number, (magic, _version, address, _other) in enumerate(WRAPPER.iter_unpack(table)):
            if magic != MAGIC:
                raise _refused(f"{WRAPPER_SECTION} holds something else than wrappers")
            found[row.offset + WRAPPER.size * number + 8] = address
    return found


def _refused(reason: str) -> DamagedInputError:
    return DamagedInputError(
        f"The library cannot be rewritten: {reason}.",
        remedy="Keep it as it is, or build it for the devices that you need.",
    )
