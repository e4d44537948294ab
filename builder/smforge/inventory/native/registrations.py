"""Which regions a host file registers with the CUDA runtime.

nvcc writes one wrapper per region into the section ``.nvFatBinSegment``: the magic 0x466243b1, a
version (1, or 2 from the device linker), the address of the region and one more pointer, 24 bytes
in all. The constructor of each translation unit hands its wrapper to ``__cudaRegisterFatBinary``.
In position-independent files the loader puts the address in place, by a relocation.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from smforge.inventory.formats import elf, pe
from smforge.inventory.formats.blob import Blob
from smforge.inventory.native.magic_scan import MagicSearch

SECTION: Final = ".nvFatBinSegment"
MAGIC: Final = 0x466243B1
_VERSIONS = (1, 2)
WRAPPER: Final = struct.Struct("<IIQQ")
"""Magic, version, address of the region, and the pointer of relocatable builds."""
_POINTER = 8
"""Where a wrapper holds the address of its region."""
_RELOCATION: Final = struct.Struct("<QQq")
"""Place, type and addend (Elf64_Rela)."""
_ADDRESSES = 1 << 64
_RELATIVE = {62: 8, 183: 1027, 21: 22}
"""The relocation type that adds the load address, by e_machine: R_X86_64_RELATIVE and so on."""


def registrations(
    blob: Blob, header: elf.Header, sections: list[elf.Section], check_time: Callable[[], None]
) -> Mapping[int, int]:
    """Return where each wrapper of a 64-bit host file lies, and where the region that it names.

    Both are offsets in the file. A wrapper whose address cannot be followed to a place in the file
    is left out. Raises `DamagedInputError` where the tables that tell it lie outside the file.
    `check_time` is called for each wrapper, and may raise to end the search.
    """
    if header.type == elf.ET_REL:
        return _of_object_file(blob, sections, check_time)
    segments = [one for one in elf.read_segments(blob, header) if one.type == elf.PT_LOAD]
    wrappers = dict(_wrappers(blob, sections, segments, check_time))
    if not wrappers:
        return {}
    moved = _Relocations(blob, header)
    found = {}
    for place, stated in wrappers.items():
        check_time()
        wrapper = elf.address_of(segments, place)
        address = stated if wrapper is None else moved.target(wrapper + _POINTER, stated)
        region = elf.file_offset(segments, address) if address else None
        if region is not None:
            found[place] = region
    return found


def registering_section(sections: list[elf.Section]) -> int | None:
    """Return where the section of the wrappers begins; None where there is none."""
    return next((one.offset for one in elf.data_sections(sections) if one.name == SECTION), None)


def windows_registrations(blob: Blob, file: pe.WindowsFile) -> Mapping[int, int]:
    """Return for a file for Windows what `registrations` returns; its pointers stand in place."""
    found = {}
    for section in file.sections:
        if section.name == pe.REGISTRATIONS and section.end <= blob.size:
            for place, address in _in_section(blob, section.offset, section.size):
                region = file.offset_of(address)
                if region is not None:
                    found[place] = region
    return found


def _in_section(blob: Blob, offset: int, size: int) -> Iterator[tuple[int, int]]:
    data = elf.read_table(blob, offset, size // WRAPPER.size * WRAPPER.size)
    for index, (magic, version, address, _) in enumerate(WRAPPER.iter_unpack(data)):
        if magic == MAGIC and version in _VERSIONS:
            yield offset + index * WRAPPER.size, address


def _wrappers(
    blob: Blob,
    sections: list[elf.Section],
    segments: list[elf.Segment],
    check_time: Callable[[], None],
) -> Iterator[tuple[int, int]]:
    """Yield the place of each wrapper, and the address in it."""
    if not sections:
        for segment in segments:
            if segment.writable:
                end = segment.offset + segment.file_size
                yield from _searched(blob, segment.offset, end, check_time)
    for section in sections:
        if section.name == SECTION and section.type == elf.SHT_PROGBITS:
            yield from _in_section(blob, section.offset, section.size)


def _searched(
    blob: Blob, start: int, end: int, check_time: Callable[[], None]
) -> Iterator[tuple[int, int]]:
    """Yield the wrappers in a range of a file without section headers; they are aligned to 8."""
    for version in _VERSIONS:
        begin = struct.pack("<II", MAGIC, version)
        search = MagicSearch(blob, min(end, blob.size), begin, check_time=check_time)
        place = search.next_from(start)
        while place is not None:
            if not place % 8 and place + WRAPPER.size <= end:
                yield place, WRAPPER.unpack(blob.read_at(place, WRAPPER.size))[2]
            place = search.next_from(place + 1)


class _Relocations:
    """The dynamic relocations of one file that need nothing but the load address."""

    def __init__(self, blob: Blob, header: elf.Header) -> None:
        self._type = _RELATIVE.get(header.machine, 0)
        self._table = elf.read_relocations(blob, header)
        self._searched = 0

    def target(self, place: int, stated: int) -> int:
        """Return the address that the loader writes to `place`; the file has `stated` there."""
        if place >= _ADDRESSES:
            return stated
        wanted = struct.pack("<QQ", place, self._type)
        # Linkers sort them, so the next one is mostly the following one.
        for start in (self._searched, 0):
            found = self._table.find(wanted, start)
            while found >= 0 and found % _RELOCATION.size:
                found = self._table.find(wanted, found + 1)
            if found >= 0:
                self._searched = found
                return int(_RELOCATION.unpack_from(self._table, found)[2])
        return stated


def _of_object_file(
    blob: Blob, sections: list[elf.Section], check_time: Callable[[], None]
) -> Mapping[int, int]:
    """Follow the relocations that the host's linker will apply to the section of wrappers."""
    found = {}
    for table in sections:
        if table.type != elf.SHT_RELA or not 0 < table.info < len(sections):
            continue
        wrappers = sections[table.info]
        if wrappers.name != SECTION or table.link >= len(sections):
            continue
        check_time()
        symbols = sections[table.link]
        rows = elf.read_table(blob, table.offset, table.size // _RELOCATION.size * _RELOCATION.size)
        for place, kind, addend in _RELOCATION.iter_unpack(rows):
            if place % WRAPPER.size != _POINTER:
                continue
            at = symbols.offset + (kind >> 32) * elf.SYMBOL_64.size
            _, _, _, index, value, _ = elf.SYMBOL_64.unpack(blob.read_at(at, elf.SYMBOL_64.size))
            if 0 < index < len(sections):
                wrapper = wrappers.offset + place - _POINTER
                found[wrapper] = sections[index].offset + value + addend
    return found
