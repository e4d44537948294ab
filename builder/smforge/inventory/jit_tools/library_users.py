"""Which libraries of CUDA an ELF file needs (DT_NEEDED), and which it names as text.

A name as text is what ``dlopen`` is given: CTranslate2 opens ``libcublas.so.12`` when it runs. It
stands in a section of constants between two NUL bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from smforge.arch.cuda_libraries import cuda_library, cuda_library_names
from smforge.errors import DamagedInputError
from smforge.inventory.formats import elf
from smforge.inventory.formats.blob import Blob, chunks
from smforge.inventory.jit_tools.records import LibraryUser

_CONSTANTS = ".rodata"
_SUFFIX = b".so."
_LONGEST_NAME = max(map(len, cuda_library_names()))
_OVERLAP = 64
_MOST_BYTES = 256 << 20
"""Constants that are searched; the libraries of cuDNN and cuBLAS have up to 60 MB of them."""
_TEXT = re.compile(rb"\0(lib[A-Za-z]{1,32}\.so\.\d{1,4}(?:\.\d{1,4}){0,3})\0")


def read_user(path: str, blob: Blob) -> LibraryUser | None:
    """What a program or library of the host uses of CUDA; None for other files and for nothing.

    A file whose tables cannot be read counts as one that uses nothing: it is damaged.
    """
    try:
        header = elf.read_header(blob)
        if header.machine not in elf.MACHINES or header.type not in elf.LOADABLE:
            return None
        needed = _known(elf.read_needed(blob, header))
        named = _known(name for name in _texts(blob, header) if name not in needed)
    except DamagedInputError:
        return None
    return LibraryUser(path, tuple(needed), tuple(named)) if needed or named else None


def _known(names: Iterable[str]) -> dict[str, None]:
    return dict.fromkeys(name for name in names if cuda_library(name))


def _texts(blob: Blob, header: elf.Header) -> Iterator[str]:
    """The texts that look like the name of a library, from the sections of constants."""
    left = _MOST_BYTES
    for section in elf.read_sections(blob, header):
        if section.name.startswith(_CONSTANTS) and section.type == elf.SHT_PROGBITS:
            end = min(section.end, section.offset + left, blob.size)
            left -= max(0, end - section.offset)
            yield from _texts_between(blob, section.offset, end)


def _texts_between(blob: Blob, start: int, end: int) -> Iterator[str]:
    kept = b"\0"
    for part in chunks(blob, start, end):
        text = kept + part
        place = text.find(_SUFFIX)
        while place >= 0:
            begin = text.rfind(b"\0", max(0, place - _LONGEST_NAME - 1), place)
            if begin >= 0 and (match := _TEXT.match(text, begin)):
                yield match[1].decode()
            place = text.find(_SUFFIX, place + 1)
        kept = text[-_OVERLAP:]
