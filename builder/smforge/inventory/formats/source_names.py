"""From the symbols of a code object back to the file its translation unit was compiled from."""

from __future__ import annotations

import re
from functools import lru_cache

_INTERNAL = re.compile(rb"INTERNAL_[0-9a-f]{8}_\d{1,4}_")
_UNNAMED = re.compile(rb"GLOBAL__N__[0-9a-f]{8}_\d{1,4}_")
"""nvcc names what is internal to a translation unit
``_INTERNAL_<hash>_<length>_<file>_<hash>``, and an unnamed namespace ``_GLOBAL__N__…`` likewise,
where `file` has every character that no symbol may hold replaced by ``_``. One first hash stands
for one file."""

_EXTENSION = re.compile(r"_(cu|cuh|cpp|cc|cxx|c|cup|ptx)\Z")


def source_of(symbols: bytes) -> str | None:
    """Return the one file that the symbols name; None where they name none, or several.

    Only the extension's dot can be restored: ``flash_fwd_sm80_cu`` is ``flash_fwd_sm80.cu``, but
    a dash in the file's name stays a ``_``.
    """
    found = _files(_INTERNAL, symbols) or _files(_UNNAMED, symbols)
    return _named(found.pop()) if len(found) == 1 else None


def file_after(mark: bytes, symbols: bytes) -> str | None:
    """Return the file named behind a mark that ends in its length: ``…_<length>_<file>_``."""
    found = _file_after(mark, symbols)
    return None if found is None else _named(found)


@lru_cache(maxsize=1024)
def _named(file: bytes) -> str:
    return _EXTENSION.sub(r".\1", file.decode("ascii", "replace"))


def _files(pattern: re.Pattern[bytes], symbols: bytes) -> set[bytes]:
    # Every symbol of a unit carries the same mark, so looking at each mark once is enough.
    found = (_file_after(mark, symbols) for mark in set(pattern.findall(symbols)))
    return {file for file in found if file is not None}


def _file_after(mark: bytes, symbols: bytes) -> bytes | None:
    start = symbols.find(mark) + len(mark)
    end = start + int(mark.rsplit(b"_", 2)[1])
    return symbols[start:end] if symbols[end : end + 1] == b"_" else None
