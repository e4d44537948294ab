"""Kernel names from the first part of a cubin, so that the machine code need not be unpacked.

ptxas and nvlink put ``.shstrtab`` right behind the ELF header, ``.strtab`` behind that and
``.symtab`` next. Every kernel has one ``.nv.constant0.NAME`` and one ``.text.NAME`` section. The
names are exact where the prefix proves that it holds the whole ``.shstrtab`` and either every
``.text`` section is a kernel's, or the symbols mark exactly the same names as entries. Otherwise
the reader of whole cubins decides (`smforge.inventory.formats.cubin`), which the tests compare
against this one on every cubin they meet.
"""

from __future__ import annotations

import re
from enum import Enum

from smforge.errors import DamagedInputError
from smforge.inventory.formats.cubin import is_entry
from smforge.inventory.formats.elf import MACHINE_CUDA, SYMBOL_64, parse_header

_START = 64
"""The size of a 64-bit ELF header, which the string table follows at once."""
_TABLE = b"\0.shstrtab\0.strtab\0.symtab\0"
"""How both string tables begin, the second one marking the end of the first."""
_CONSTANT = re.compile(rb"\0\.nv\.constant0\.([^\0]*)")
_CODE = re.compile(rb"\0\.text\.([^\0]*)")
_NOT_ZERO = re.compile(rb"[^\0]")
_HIGHEST_TYPE = 13
"""Of symbols; NVIDIA's own begin at 10."""
_MOST_SYMBOLS = 1 << 16
_MOST_SEARCHED = 1 << 31
"""Bytes that are searched for names, each name counted, before the whole cubin is read instead."""
MAX_PREFIX = 8 << 20
"""Bytes after which looking for the end of the names stops paying."""


class PrefixDoubt(Enum):
    """Why a prefix gives no names."""

    UNFINISHED = "unfinished"
    """A longer one may."""
    UNPROVEN = "unproven"
    """None will."""


def names_end(prefix: bytes | bytearray, searched: int) -> int:
    """Return where ``.shstrtab`` ends, or -1 where that is not within `prefix`.

    `searched` bytes of the prefix are known not to hold the end.
    """
    return prefix.find(_TABLE, max(_START + 1, searched - len(_TABLE)))


def names_come_first(prefix: bytes) -> bool:
    """Tell from at least 128 bytes whether the cubin has the layout that this module reads."""
    if prefix[_START : _START + len(_TABLE)] != _TABLE:
        return False
    try:
        header = parse_header(prefix)
    except DamagedInputError:
        return False
    return header.wide and header.machine == MACHINE_CUDA and header.names_index == 1


def kernels_of_prefix(prefix: bytes, end: int) -> tuple[str, ...] | PrefixDoubt:
    """Return the sorted kernel names from `prefix`, whose ``.shstrtab`` ends at `end`.

    `PrefixDoubt` where the prefix does not prove that these are all.
    """
    if prefix[end - 1] == prefix[end - 2] == 0:
        # ptxas may leave tens of thousands of zeros behind the last name: they slow every search.
        table_end = _START + len(prefix[_START:end].rstrip(b"\0")) + 1
    else:
        table_end = end
    kernels = set(_CONSTANT.findall(prefix, _START, table_end))
    code = set(_CODE.findall(prefix, _START, table_end))
    if kernels == code:
        # Every section but the first, which is none, has a name, and each begins with a dot.
        if (
            not 0
            < parse_header(prefix).section_count
            <= prefix.count(b"\0.", _START, table_end) + 1
        ):
            return PrefixDoubt.UNPROVEN
    elif kernels < code:
        # Functions that are no kernels have code of their own, and no constants.
        doubt = _confirmed(prefix, end, kernels)
        if doubt is not None:
            return doubt
    else:
        return PrefixDoubt.UNPROVEN
    return tuple(sorted(name.decode("utf-8", "backslashreplace") for name in kernels))


def _confirmed(prefix: bytes, end: int, kernels: set[bytes]) -> PrefixDoubt | None:
    """Return None where the symbols mark `kernels` as entries and nothing else.

    ``.strtab`` begins at `end` or, with a few other names, some bytes before it. So where symbols
    find their names is known but for one constant, which must suit all of them.
    """
    last = prefix.find(b"\0\0", end + 1)
    found = _NOT_ZERO.search(prefix, last) if last >= 0 else None
    if found is None:
        return PrefixDoubt.UNFINISHED
    # The table of symbols begins with an empty one. Of the others the first eight bytes are never
    # all zero, and symbols are aligned to eight.
    first = found.start() // 8 * 8
    if first - last <= SYMBOL_64.size:
        return PrefixDoubt.UNPROVEN
    symbols = _symbols(prefix, first, last - _START)
    if isinstance(symbols, PrefixDoubt):
        return symbols
    offsets = sorted(name for name, entry in symbols.items() if entry)
    strings = prefix[end : last + 1]
    if len(kernels) * len(strings) > _MOST_SEARCHED:
        return PrefixDoubt.UNPROVEN
    places = sorted(end + 1 + strings.find(b"\0" + name + b"\0") for name in kernels)
    bases = {place - offset for place, offset in zip(places, offsets, strict=False)}
    if len(places) != len(offsets) or len(bases) != 1:
        return PrefixDoubt.UNPROVEN
    (base,) = bases
    begins = _START < base <= end and not any(prefix[base + name - 1] for name in symbols if name)
    return None if begins and end < places[0] else PrefixDoubt.UNPROVEN


def _symbols(prefix: bytes, first: int, longest: int) -> dict[int, bool] | PrefixDoubt:
    """Return where names of symbols stand in their table, and which are marked as entries.

    Where the symbols from `first` on end, only the section table would tell, which follows the
    machine code; they are read up to the first record that cannot be a symbol. What is read too
    much or too little shows when the names are compared with those of the sections.
    """
    found: dict[int, bool] = {}
    limit = first + _MOST_SYMBOLS * SYMBOL_64.size
    for at in range(first, min(limit, len(prefix)) - SYMBOL_64.size + 1, SYMBOL_64.size):
        name, info, other, *_ = SYMBOL_64.unpack_from(prefix, at)
        if info & 0xF > _HIGHEST_TYPE or name > longest:
            return found
        found[name] = is_entry(info, other) or found.get(name, False)
    return PrefixDoubt.UNFINISHED if len(prefix) < limit else PrefixDoubt.UNPROVEN
