"""Which translation units of a library the device linker never saw.

nvcc gives every unit of relocatable code (``-rdc=true``) a constructor that calls
``__cudaRegisterLinkedBinary_<hash>_<length>_<file>_…``. The device linker defines that function; a
library linked by the host's linker alone needs it from nowhere, so that loading it fails.
"""

from __future__ import annotations

import re
from typing import Final

from smforge.inventory.formats import elf
from smforge.inventory.formats.blob import Blob
from smforge.inventory.formats.source_names import file_after

_REGISTERED_BY: Final = b"__cudaRegisterLinkedBinary_"
_MARK = re.compile(rb"LinkedBinary_[0-9a-f]{8}_\d{1,4}_")
_UNDEFINED = 0


def unlinked_units(blob: Blob, header: elf.Header) -> tuple[str, ...]:
    """Name the units that a linked host file registers nowhere, sorted; empty where all is well.

    A unit whose symbol names no file goes by that symbol.
    """
    if header.type == elf.ET_REL or not header.wide:
        return ()
    sections = elf.read_sections(blob, header)
    table = next((one for one in sections if one.type == elf.SHT_DYNSYM), None)
    if table is None or table.link >= len(sections):
        return ()
    rows = elf.read_table(blob, table.offset, table.size // elf.SYMBOL_64.size * elf.SYMBOL_64.size)
    strings = elf.read_table(blob, sections[table.link].offset, sections[table.link].size)
    # Only the wanted names are copied: symbols may share one long string.
    places = {
        name
        for name, _info, _other, section, _value, _size in elf.SYMBOL_64.iter_unpack(rows)
        if section == _UNDEFINED and strings.startswith(_REGISTERED_BY, name)
    }
    return tuple(sorted(_unit(name) for name in elf.strings(strings, places)))


def _unit(symbol: str) -> str:
    text = symbol.encode()
    mark = _MARK.search(text)
    return (file_after(mark[0], text) if mark else None) or symbol
