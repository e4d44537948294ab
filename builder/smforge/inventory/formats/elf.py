"""The parts of an ELF file that say where GPU code lies: headers, sections, needed libraries.

Only little-endian files are read; no CUDA host or device is big-endian.
Format: System V ABI, "Object Files" (gABI) and elf(5).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from smforge.errors import DamagedInputError
from smforge.inventory.formats.blob import Blob

MAGIC = b"\x7fELF"
MACHINE_CUDA: Final = 190

ET_REL: Final = 1
LOADABLE: Final = frozenset({2, 3})
"""Types of files that the loader takes: programs (ET_EXEC) and libraries (ET_DYN)."""
SHT_PROGBITS: Final = 1
SHT_SYMTAB: Final = 2
SHT_RELA: Final = 4
SHT_NOBITS: Final = 8
SHT_DYNSYM: Final = 11
SHF_EXECINSTR: Final = 4
PT_LOAD: Final = 1
PT_DYNAMIC: Final = 2
_PF_WRITE = 2
_DT_NEEDED, _DT_STRTAB, _DT_RELA, _DT_RELASZ, _DT_STRSZ = 1, 5, 7, 8, 10
_SHN_XINDEX = 0xFFFF

_LITTLE_ENDIAN = b"\x01\x01"
"""EI_DATA and EI_VERSION."""
_SHORTEST = 52
"""Bytes of the header of a 32-bit file."""
_MAX_DYNAMIC_BYTES = 1 << 20
_MAX_TABLE = 256 << 20
_LONGEST_STRING = 64 << 10
"""Bytes of a section's, library's or symbol's name beyond which it is none."""
_MOST_NAMES = 64 << 20
"""Characters of all names of one table. Names may share one string, so a small file can have any
number of long ones."""
MAX_SECTIONS: Final = 1 << 20

MACHINES = {3: "i386", 20: "ppc", 21: "ppc64le", 40: "arm", 62: "x86_64", 183: "aarch64"}
"""The host CPUs CUDA has supported, by e_machine."""


class _Layout(NamedTuple):
    """The structures of one ELF class."""

    header: struct.Struct
    section: struct.Struct
    segment: struct.Struct
    dynamic: struct.Struct


_LAYOUTS = {
    1: _Layout(
        struct.Struct("<16sHHIIIIIHHHHHH"),
        struct.Struct("<10I"),
        struct.Struct("<8I"),
        struct.Struct("<iI"),
    ),
    2: _Layout(
        struct.Struct("<16sHHIQQQIHHHHHH"),
        struct.Struct("<IIQQQQIIQQ"),
        struct.Struct("<IIQQQQQQ"),
        struct.Struct("<qQ"),
    ),
}


class Section(NamedTuple):
    """One row of the section header table."""

    name: str
    type: int
    flags: int
    offset: int
    size: int
    link: int
    info: int
    entry_size: int

    @property
    def end(self) -> int:
        return self.offset + self.size


class Segment(NamedTuple):
    """One row of the program header table."""

    type: int
    offset: int
    address: int
    file_size: int
    flags: int

    @property
    def writable(self) -> bool:
        return bool(self.flags & _PF_WRITE)


class Header(NamedTuple):
    """The ELF header."""

    wide: bool
    """64-bit."""
    os_abi: int
    abi_version: int
    type: int
    machine: int
    version: int
    flags: int
    segments_offset: int
    sections_offset: int
    segment_size: int
    segment_count: int
    section_size: int
    section_count: int
    names_index: int

    @property
    def layout(self) -> _Layout:
        return _LAYOUTS[2 if self.wide else 1]


def is_little_endian_elf(head: bytes) -> bool:
    """Tell from the first bytes whether this module can read the file."""
    return head[:4] == MAGIC and head[5:7] == _LITTLE_ENDIAN and head[4] in _LAYOUTS


def is_host_or_cubin(head: bytes) -> bool:
    """Tell whether the file is for a CPU that CUDA has supported, or for a GPU."""
    if not is_little_endian_elf(head):
        return False
    machine = int.from_bytes(head[18:20], "little")
    return machine == MACHINE_CUDA or machine in MACHINES


def contradicts_itself(head: bytes) -> bool:
    """Tell whether a file that begins with `MAGIC` has the header of no ELF file.

    Files for CPUs that CUDA has never supported are none of this package's, and whole. A file that
    calls itself big-endian while its machine is a little-endian number of CUDA's is torn.
    """
    if len(head) < _SHORTEST or head[4] not in _LAYOUTS or head[5] not in (1, 2) or head[6] != 1:
        return True
    machine = int.from_bytes(head[18:20], "little")
    return head[5] != 1 and (machine == MACHINE_CUDA or machine in MACHINES)


def parse_header(head: bytes) -> Header:
    """Read the header. Raises `DamagedInputError` where it is cut off or of no known class."""
    if not is_little_endian_elf(head):
        raise DamagedInputError("Its ELF header is none of a little-endian file.")
    layout = _LAYOUTS[head[4]]
    if len(head) < layout.header.size:
        raise DamagedInputError("The file ends within its ELF header.")
    (ident, kind, machine, version, _entry, phoff, shoff, flags, _size, phsize, phnum, shsize,
     shnum, shstrndx) = layout.header.unpack_from(head)  # fmt: skip
    return Header(
        wide=ident[4] == 2,
        os_abi=ident[7],
        abi_version=ident[8],
        type=kind,
        machine=machine,
        version=version,
        flags=flags,
        segments_offset=phoff,
        sections_offset=shoff,
        segment_size=phsize,
        segment_count=phnum,
        section_size=shsize,
        section_count=shnum,
        names_index=shstrndx,
    )


def read_header(blob: Blob) -> Header:
    """Read the header of `blob`."""
    return parse_header(blob.read_at(0, min(64, blob.size)))


def read_sections(blob: Blob, header: Header) -> list[Section]:
    """Read the section header table; empty where it was stripped.

    Raises `DamagedInputError` where the table lies outside the file, which is how a truncated
    file shows; a section may still do so.
    """
    if header.sections_offset == 0:
        return []
    rows, names_index = _section_rows(blob, header)
    if not rows:
        return []
    if names_index >= len(rows):
        raise DamagedInputError("The ELF section name table does not exist.")
    names = read_table(blob, rows[names_index][4], rows[names_index][5])
    texts = strings(names, (row[0] for row in rows))
    return [
        Section(text, kind, flags, offset, size, link, info, entry_size)
        for text, (_, kind, flags, _, offset, size, link, info, _, entry_size) in zip(
            texts, rows, strict=True
        )
    ]


def _section_rows(blob: Blob, header: Header) -> tuple[list[tuple[int, ...]], int]:
    row = header.layout.section
    if header.section_size != row.size:
        raise DamagedInputError(f"An ELF section header of {header.section_size} bytes is unknown.")
    count, names_index = header.section_count, header.names_index
    if count == 0 or names_index == _SHN_XINDEX:
        # Files with 65,280 sections or more keep the real numbers in the first row.
        first = row.unpack(blob.read_at(header.sections_offset, row.size))
        count = count or first[5]
        names_index = first[6] if names_index == _SHN_XINDEX else names_index
    if count > MAX_SECTIONS:
        raise DamagedInputError(f"An ELF file of {count} sections is not plausible.")
    table = blob.read_at(header.sections_offset, count * row.size)
    return list(row.iter_unpack(table)), names_index


def extent(blob: Blob, header: Header) -> int:
    """Return how many bytes of `blob` an ELF file takes that begins it, by its tables.

    Raises `DamagedInputError` where the section table lies outside.
    """
    rows, _ = _section_rows(blob, header)
    ends = [row[4] + row[5] for row in rows if row[1] not in (0, SHT_NOBITS)]
    ends.append(header.sections_offset + len(rows) * header.section_size)
    ends.append(header.segments_offset + header.segment_count * header.segment_size)
    return max(ends)


def read_segments(blob: Blob, header: Header) -> list[Segment]:
    """Read the program header table; empty where there is none."""
    if header.segments_offset == 0 or header.segment_count == 0:
        return []
    row = header.layout.segment
    if header.segment_size != row.size:
        raise DamagedInputError(f"An ELF program header of {header.segment_size} bytes is unknown.")
    table = blob.read_at(header.segments_offset, header.segment_count * row.size)
    if header.wide:
        return [Segment(r[0], r[2], r[3], r[5], r[1]) for r in row.iter_unpack(table)]
    return [Segment(r[0], r[1], r[2], r[4], r[6]) for r in row.iter_unpack(table)]


def read_needed(blob: Blob, header: Header) -> tuple[str, ...]:
    """Return the DT_NEEDED libraries in the loader's order."""
    segments = read_segments(blob, header)
    tags = _read_dynamic(blob, header, segments)
    needed = [value for tag, value in tags if tag == _DT_NEEDED]
    if not needed:
        return ()
    where = dict(tags)
    offset = file_offset(segments, where.get(_DT_STRTAB, 0))
    size = where.get(_DT_STRSZ, 0)
    if offset is None or offset + size > blob.size:
        raise DamagedInputError("The names of the needed libraries are outside the file.")
    names = read_table(blob, offset, size)
    return tuple(strings(names, needed))


def read_relocations(blob: Blob, header: Header) -> bytes:
    """Return the dynamic relocations with addends (DT_RELA); empty where there are none."""
    segments = read_segments(blob, header)
    where = dict(_read_dynamic(blob, header, segments))
    offset = file_offset(segments, where.get(_DT_RELA, 0))
    if offset is None:
        return b""
    return read_table(blob, offset, where.get(_DT_RELASZ, 0))


def _read_dynamic(blob: Blob, header: Header, segments: list[Segment]) -> list[tuple[int, int]]:
    """Return the tags of PT_DYNAMIC and their values."""
    dynamic = next((s for s in segments if s.type == PT_DYNAMIC), None)
    if dynamic is None or dynamic.offset + dynamic.file_size > blob.size:
        return []
    table = blob.read_at(dynamic.offset, min(dynamic.file_size, _MAX_DYNAMIC_BYTES))
    row = header.layout.dynamic
    return list(row.iter_unpack(table[: len(table) // row.size * row.size]))


def file_offset(segments: list[Segment], address: int) -> int | None:
    """Return where the byte that is loaded at `address` lies in the file."""
    for segment in segments:
        if segment.type == PT_LOAD and 0 <= address - segment.address < segment.file_size:
            return segment.offset + address - segment.address
    return None


def address_of(segments: list[Segment], offset: int) -> int | None:
    """Return the address at which the byte at `offset` of the file is loaded."""
    for segment in segments:
        if segment.type == PT_LOAD and 0 <= offset - segment.offset < segment.file_size:
            return segment.address + offset - segment.offset
    return None


def read_table(blob: Blob, offset: int, size: int) -> bytes:
    """Read a table of strings or symbols. Raises `DamagedInputError` where the file ends before."""
    if size > _MAX_TABLE:
        raise DamagedInputError(f"An ELF table of {size} bytes is not plausible.")
    return blob.read_at(offset, size)


def string_at(table: bytes, offset: int) -> str:
    """Return the NUL-terminated string at `offset`; symbol names need not be valid UTF-8."""
    end = table.find(b"\0", offset, offset + _LONGEST_STRING)
    if offset >= len(table) or end < 0:
        raise DamagedInputError("An ELF string is outside its string table.")
    return table[offset:end].decode("utf-8", "backslashreplace")


def strings(table: bytes, offsets: Iterable[int]) -> Iterator[str]:
    """Yield the strings at `offsets`, as `string_at`, and not more than memory can be given to."""
    length = 0
    for offset in offsets:
        text = string_at(table, offset)
        length += len(text)
        if length > _MOST_NAMES:
            raise DamagedInputError(f"An ELF table of names of {length} characters is no real one.")
        yield text


SYMBOL_64: Final = struct.Struct("<IBBHQQ")
"""Name, info, other, section, value and size of a symbol of a 64-bit ELF file."""


def data_sections(sections: list[Section]) -> Iterator[Section]:
    """Yield the sections that may hold GPU code besides the ones made for it."""
    for section in sections:
        if section.type == SHT_NOBITS or not section.size or section.flags & SHF_EXECINSTR:
            continue
        if section.type in _TABLE_TYPES or section.name.startswith(_NO_DATA):
            continue
        yield section


_NO_DATA = (".debug_", ".eh_frame", ".gcc_except_table")
_TABLE_TYPES = frozenset({0, SHT_SYMTAB, 3, 4, 5, 6, 9, 11, 17, 18, 19, 0x6FFFFFF6})
"""Section types made of symbols, strings, relocations, hashes or groups."""
