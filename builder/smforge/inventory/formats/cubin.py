"""Cubins: the ELF files that hold machine code for one GPU target.

The format is not published; docs/format.md says how each field was found.
"""

from __future__ import annotations

import re
import struct
from typing import Final

from smforge.arch.target import ComputeCapability, Suffix, Target
from smforge.errors import DamagedInputError, LimitExceededError
from smforge.inventory.formats.blob import Blob
from smforge.inventory.formats.contents import Contents
from smforge.inventory.formats.elf import (
    MACHINE_CUDA,
    MAX_SECTIONS,
    SHT_SYMTAB,
    Header,
    read_header,
    read_table,
    string_at,
)
from smforge.inventory.formats.source_names import source_of

_ABI_7: Final = 0x33
_ABI_8: Final = 0x41
_STT_OBJECT = 1
_STT_FUNC = 2
_STO_CUDA_ENTRY = 0x10
_SHT_NOTE = 7
_SHT_COMPAT = 0x70000086
_COMPAT_ARCH_SPECIFIC = 9
_COMPAT_SIZED = 4
_MAX_NOTES = 1 << 20
"""Bytes of all sections of one type that are read whole; real notes have a few hundred."""

_MOST_NAMES = 256 << 20
_MOST_MAJOR = 100
_FIRST_FAMILY = ComputeCapability(10, 0)
"""Family-specific targets begin with compute capability 10.0 (PTX ISA 11.1.2)."""
_FIRST_ARCH_SPECIFIC = ComputeCapability(9, 0)

_RELEASE = re.compile(rb"Cuda compilation tools, release (\d+\.\d+)")
_OPTION = re.compile(rb"(?:-arch|--gpu-name)[= ]+sm_(\d+)([af]?)(?![\w])")


def target_of(header: Header) -> Target:
    """Read the target from the ELF header alone.

    Its suffix is `Suffix.UNKNOWN` where sections must tell it. Raises `DamagedInputError` where
    this is no cubin, or one of an unknown ABI.
    """
    if header.machine != MACHINE_CUDA:
        raise DamagedInputError(f"An ELF file for machine {header.machine} is no cubin.")
    if header.os_abi == _ABI_7:
        specific = bool(header.flags & 0x800)
        suffix = Suffix.ARCH_SPECIFIC if specific else Suffix.PLAIN
        return Target(_capability(header.flags & 0xFF), suffix)
    if header.os_abi != _ABI_8:
        raise DamagedInputError(f"A cubin of ELF OS/ABI {header.os_abi:#x} is not known.")
    capability = _capability(header.flags >> 8 & 0xFFFF)
    if capability < _FIRST_ARCH_SPECIFIC:
        return Target(capability, Suffix.PLAIN)
    return Target(capability, Suffix.ARCH_SPECIFIC if header.flags & 0x8 else Suffix.UNKNOWN)


def _capability(number: int) -> ComputeCapability:
    capability = ComputeCapability.from_number(number)
    if not 1 <= capability.major < _MOST_MAJOR:
        raise DamagedInputError(f"A cubin for the architecture {number} is not plausible.")
    return capability


def with_noted_suffix(target: Target, notes: bytes) -> Target:
    """Fill in an unknown suffix where a producer's note says for which target it was called."""
    if target.suffix is not Suffix.UNKNOWN:
        return target
    options = {
        match[2].decode()
        for match in _OPTION.finditer(notes)
        if int(match[1]) == target.capability.number
    }
    return Target(target.capability, Suffix(options.pop())) if len(options) == 1 else target


class CubinReader:
    """The section rows of one cubin, read once."""

    def __init__(self, blob: Blob, header: Header | None = None) -> None:
        """Raises `DamagedInputError` where `blob` is no cubin with a whole section table."""
        self._blob = blob
        self.header = header or read_header(blob)
        target_of(self.header)
        self._rows = self._read_rows()
        self._parts: dict[int, bytes] = {}

    def _read_rows(self) -> list[tuple[int, ...]]:
        header, row = self.header, self.header.layout.section
        if header.section_count and header.section_size != row.size:
            raise DamagedInputError(f"A cubin's section header of {header.section_size} bytes.")
        offset, count = header.sections_offset, header.section_count
        if offset and not count:
            # 65,280 sections or more: the number stands in the first row.
            count = row.unpack(self._blob.read_at(offset, row.size))[5]
            if count > MAX_SECTIONS:
                raise DamagedInputError(f"A cubin of {count} sections is not plausible.")
        return list(row.iter_unpack(self._blob.read_at(offset, count * row.size)))

    def contents(self) -> Contents:
        """Read the target, the kernel names, the source file and the producer."""
        kernels, source = self._symbols()
        return Contents(self.target(), None, kernels, source, self.toolkit())

    def toolkit(self) -> str | None:
        """Read the release of CUDA that made it; None where it does not say."""
        return _toolkit(self.header, self._section(_SHT_NOTE))

    def target(self) -> Target:
        """Read the target, with `Suffix.UNKNOWN` where nothing in the cubin tells it."""
        target = target_of(self.header)
        if target.suffix is not Suffix.UNKNOWN:
            return target
        compat = _compat(self._section(_SHT_COMPAT))
        if compat.get(_COMPAT_ARCH_SPECIFIC) == 1:
            return Target(target.capability, Suffix.ARCH_SPECIFIC)
        target = with_noted_suffix(target, self._section(_SHT_NOTE))
        if target.suffix is Suffix.UNKNOWN and target.capability < _FIRST_FAMILY:
            return Target(target.capability, Suffix.PLAIN)
        return target

    def _section(self, kind: int) -> bytes:
        """Return the sections of a type, one after the other."""
        if kind not in self._parts:
            self._parts[kind] = self._read_section(kind)
        return self._parts[kind]

    def _read_section(self, kind: int) -> bytes:
        rows = [row for row in self._rows if row[1] == kind]
        size = sum(row[5] for row in rows)
        if size > _MAX_NOTES:
            raise DamagedInputError(f"A cubin's notes of {size} bytes are not plausible.")
        return b"".join(self._blob.read_at(row[4], row[5]) for row in rows)

    def variables(self) -> set[bytes]:
        """Read the mangled names of the variables that it defines."""
        symbols, table = self._symbol_table()
        return _defined_names(symbols, table, self.header.wide)

    def _symbols(self) -> tuple[tuple[str, ...], str | None]:
        symbols, table = self._symbol_table()
        names = _entry_names(symbols, table, self.header.wide)
        kernels = tuple(sorted(name.decode("utf-8", "backslashreplace") for name in names))
        return kernels, source_of(table)

    def _symbol_table(self) -> tuple[bytes, bytes]:
        """Read the symbols and the table of their names."""
        tables = [row for row in self._rows if row[1] == SHT_SYMTAB]
        if len(tables) != 1:
            # Without symbols it would have no kernel to judge; more than one the gABI forbids.
            count = f"{len(tables)} symbol tables" if tables else "no symbol table"
            raise DamagedInputError(f"A cubin has {count}.")
        (row,) = tables
        if row[6] >= len(self._rows):
            raise DamagedInputError("A cubin's symbols name no string table.")
        strings = self._rows[row[6]]
        table = read_table(self._blob, strings[4], strings[5])
        return read_table(self._blob, row[4], row[5]), table


def is_entry(info: int, other: int) -> bool:
    """Tell a kernel's symbol from others."""
    return bool(other & _STO_CUDA_ENTRY) and info & 0xF == _STT_FUNC


def _defined_names(symbols: bytes, table: bytes, wide: bool) -> set[bytes]:
    """The names of the symbols of data (STT_OBJECT) that have a place in a section."""
    row = _SYMBOL_64 if wide else _SYMBOL_32
    if len(symbols) % row.size:
        raise DamagedInputError("A cubin's symbol table is cut off within a symbol.")
    starts = {
        start
        for start, info, section in row.iter_unpack(symbols)
        if info & 0xF == _STT_OBJECT and section
    }
    return {string_at(table, start).encode() for start in starts}


def _entry_names(symbols: bytes, table: bytes, wide: bool) -> set[bytes]:
    size, info, other = (24, 4, 5) if wide else (16, 12, 13)
    if len(symbols) % size:
        raise DamagedInputError("A cubin's symbol table is cut off within a symbol.")
    names = set()
    length = 0
    for index, flags in enumerate(symbols[other::size]):
        if flags & _STO_CUDA_ENTRY and is_entry(symbols[index * size + info], flags):
            (start,) = _OFFSET.unpack_from(symbols, index * size)
            end = table.find(b"\0", start)
            if end < 0:
                raise DamagedInputError("A cubin's symbol name is outside its string table.")
            # Symbols may share the end of a long string: copying it for each takes for ever.
            length += end - start
            if length > _MOST_NAMES:
                raise LimitExceededError(
                    f"The kernel names of a cubin take more than {_MOST_NAMES} bytes."
                )
            names.add(table[start:end])
    return names


_OFFSET = struct.Struct("<I")
_SYMBOL_64 = struct.Struct("<IBxH16x")
_SYMBOL_32 = struct.Struct("<I8xBxH")
"""Name, type and section of a symbol (ELF gABI, chapter 4)."""


def _toolkit(header: Header, notes: bytes) -> str | None:
    """The release in the producer's note; in ABI 7, also e_version: 124 is 12.4."""
    if match := _RELEASE.search(notes):
        return match[1].decode()
    if header.os_abi == _ABI_7 and header.version >= 100:
        return f"{header.version // 10}.{header.version % 10}"
    return None


def _compat(section: bytes) -> dict[int, int]:
    """Read ``.nv.compat``: records of format, attribute and a value, or a length and bytes."""
    values: dict[int, int] = {}
    position = 0
    while position + 4 <= len(section):
        form, attribute, value = struct.unpack_from("<BBH", section, position)
        position += 4 + (value if form == _COMPAT_SIZED else 0)
        values[attribute] = value
    return values


def toolkit_in(text: bytes) -> str | None:
    """Return the toolkit that a producer's note within `text` names."""
    match = _RELEASE.search(text)
    return match[1].decode() if match else None
