"""Kernel names from the first part of a cubin, so that the machine code need not be unpacked.

ptxas and nvlink put ``.shstrtab`` right behind the ELF header and ``.strtab`` behind that. Every
kernel has one ``.nv.constant0.NAME`` and one ``.text.NAME`` section. Where the prefix proves that
it holds the whole ``.shstrtab`` and that every ``.text`` section is a kernel's, the names are
exact; otherwise `leading_kernels` returns None and the reader of whole cubins decides
(`builder.inventory.cubin`), which the tests compare against this one on every cubin they meet.
"""

from __future__ import annotations

import re

from builder.errors import DamagedInputError
from builder.inventory.elf import MACHINE_CUDA, parse_header

_START = 64
"""The size of a 64-bit ELF header, which the string table follows at once."""
_TABLE = b"\0.shstrtab\0.strtab\0.symtab\0"
"""How both string tables begin, the second one marking the end of the first."""
_CONSTANT = re.compile(rb"\0\.nv\.constant0\.([^\0]*)")
_CODE = re.compile(rb"\0\.text\.([^\0]*)")
MAX_PREFIX = 8 << 20
"""Bytes after which looking for the end of the names stops paying."""


def names_end(prefix: bytes | bytearray, searched: int) -> int:
    """Return where ``.shstrtab`` ends, or -1 where that is not within `prefix`.

    `searched` bytes of the prefix are known not to hold the end.
    """
    return prefix.find(_TABLE, max(_START + 1, searched - len(_TABLE)))


def may_lead(prefix: bytes) -> bool:
    """Tell from at least 128 bytes whether the cubin has the layout that this module reads."""
    if prefix[_START : _START + len(_TABLE)] != _TABLE:
        return False
    try:
        header = parse_header(prefix)
    except DamagedInputError:
        return False
    return header.wide and header.machine == MACHINE_CUDA and header.names_index == 1


def leading_kernels(prefix: bytes, end: int) -> tuple[str, ...] | None:
    """Return the sorted kernel names from `prefix`, whose ``.shstrtab`` ends at `end`.

    None where the prefix does not prove that these are all.
    """
    # ptxas may leave tens of thousands of zeros behind the last name: they slow every search.
    table = prefix[_START:end].rstrip(b"\0") + b"\0"
    kernels = set(_CONSTANT.findall(table))
    if kernels != set(_CODE.findall(table)):
        return None
    # Every section but the first, which is none, has a name, and each begins with a dot.
    sections = parse_header(prefix).section_count
    if not 0 < sections <= table.count(b"\0.") + 1:
        return None
    return tuple(sorted(name.decode("utf-8", "backslashreplace") for name in kernels))
