"""Writes a library that stands for libcuda.so.1 where there is none.

Extensions linked with the driver cannot be loaded on a builder, so whether anything else of them is
unresolved would stay unknown. Beside this library they can: it defines the driver's functions that
they ask for, each of which answers CUDA_ERROR_NO_DEVICE, as a driver without a GPU does.

The file is the least that the dynamic loader takes: one segment with symbols and code, one with the
dynamic table, no sections (System V ABI, chapters 4 and 5).
"""

from __future__ import annotations

import platform
import re
import struct
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .elf import Linking, libraries

SONAME = "libcuda.so.1"
NO_DEVICE = 100
"""CUDA_ERROR_NO_DEVICE of cuda.h."""

_FUNCTION = re.compile(rb"(?<=\0)cu(?!File)[A-Z]\w*(?=\0)")
"""Names of libcuda's functions; those of libcufile are alike."""
_MACHINES = {
    "x86_64": (62, struct.pack("<BI", 0xB8, NO_DEVICE) + b"\xc3"),  # mov eax, 100; ret
    "aarch64": (183, struct.pack("<II", 0x52800000 | NO_DEVICE << 5, 0xD65F03C0)),  # mov w0; ret
}
"""By name of the CPU: e_machine, and a function that returns the error."""
_PAGE = 1 << 16
"""The largest page size of these CPUs."""
_HEADER, _PROGRAM_HEADER, _SYMBOL = 64, 56, 24
_READ, _WRITE, _EXECUTE = 4, 2, 1
_PT_LOAD, _PT_DYNAMIC, _PT_GNU_STACK = 1, 2, 0x6474E551
_DT_HASH, _DT_STRTAB, _DT_SYMTAB, _DT_STRSZ, _DT_SYMENT, _DT_SONAME = 4, 5, 6, 10, 11, 14
_GLOBAL_FUNCTION = 1 << 4 | 2
_SHARED_OBJECT = 3


def functions(links: Linking) -> set[str]:
    """The driver's functions that a library mentions."""
    return {name.decode() for name in _FUNCTION.findall(links.strings)}


def environment_functions() -> list[str]:
    """The driver's functions that any library of this environment mentions."""
    return sorted({name for _, links in libraries() for name in functions(links)})


def written(names: Sequence[str]) -> str:
    """Write a library that defines `names`; its path. Raises KeyError for an unknown CPU."""
    path = Path(tempfile.mkdtemp(), SONAME)
    path.write_bytes(library(names, platform.machine()))
    return str(path)


def library(names: Sequence[str], machine: str) -> bytes:
    """The bytes of a shared library that defines `names`. Raises KeyError for another CPU."""
    number, code = _MACHINES[machine]
    strings, places = _strings([SONAME, *names])
    table = _hash_table(len(names) + 1)
    hash_at = _aligned(_HEADER + 4 * _PROGRAM_HEADER)
    symbols_at = _aligned(hash_at + len(table))
    strings_at = symbols_at + _SYMBOL * (len(names) + 1)
    code_at = _aligned(strings_at + len(strings))
    dynamic_at = -(-(code_at + len(code)) // _PAGE) * _PAGE
    symbols = bytes(_SYMBOL) + b"".join(
        struct.pack("<IBBHQQ", places[name], _GLOBAL_FUNCTION, 0, 1, code_at, len(code))
        for name in names
    )
    dynamic = b"".join(
        struct.pack("<QQ", tag, value)
        for tag, value in (
            (_DT_SONAME, places[SONAME]),
            (_DT_HASH, hash_at),
            (_DT_STRTAB, strings_at),
            (_DT_SYMTAB, symbols_at),
            (_DT_STRSZ, len(strings)),
            (_DT_SYMENT, _SYMBOL),
            (0, 0),
        )
    )
    programs = (
        _program(_PT_LOAD, _READ | _EXECUTE, 0, code_at + len(code)),
        _program(_PT_LOAD, _READ | _WRITE, dynamic_at, len(dynamic)),
        _program(_PT_DYNAMIC, _READ | _WRITE, dynamic_at, len(dynamic)),
        _program(_PT_GNU_STACK, _READ | _WRITE, 0, 0),
    )
    image = bytearray(dynamic_at + len(dynamic))
    for place, part in (
        (0, _elf_header(number, len(programs))),
        (_HEADER, b"".join(programs)),
        (hash_at, table),
        (symbols_at, symbols),
        (strings_at, strings),
        (code_at, code),
        (dynamic_at, dynamic),
    ):
        image[place : place + len(part)] = part
    return bytes(image)


def _elf_header(machine: int, programs: int) -> bytes:
    return struct.pack(
        "<16sHHIQQQIHHHHHH",
        b"\x7fELF\x02\x01\x01",
        _SHARED_OBJECT,
        machine,
        1,
        0,
        _HEADER,
        0,
        0,
        _HEADER,
        _PROGRAM_HEADER,
        programs,
        64,
        0,
        0,
    )


def _program(kind: int, flags: int, offset: int, size: int) -> bytes:
    alignment = _PAGE if kind == _PT_LOAD else 8
    return struct.pack("<IIQQQQQQ", kind, flags, offset, offset, offset, size, size, alignment)


def _hash_table(symbols: int) -> bytes:
    """A table of one bucket: the loader walks through all symbols, which are few."""
    chain = [0, *range(2, symbols), 0][:symbols]
    return struct.pack(f"<{3 + symbols}I", 1, symbols, 1 if symbols > 1 else 0, *chain)


def _strings(names: Sequence[str]) -> tuple[bytes, dict[str, int]]:
    data, places = bytearray(1), {}
    for name in names:
        places[name] = len(data)
        data += name.encode() + b"\0"
    return bytes(data), places


def _aligned(place: int) -> int:
    return -(-place // 16) * 16
