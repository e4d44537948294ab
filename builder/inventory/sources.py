"""From the symbols of a code object back to the file its translation unit was compiled from."""

from __future__ import annotations

import re

_INTERNAL = re.compile(rb"INTERNAL_[0-9a-f]{8}_(\d{1,4})_")
_UNNAMED = re.compile(rb"GLOBAL__N__[0-9a-f]{8}_(\d{1,4})_")
"""nvcc names what is internal to a translation unit
``_INTERNAL_<hash>_<length>_<file>_<hash>``, and an unnamed namespace ``_GLOBAL__N__…`` likewise,
where `file` has every character that no symbol may hold replaced by ``_``."""

_EXTENSION = re.compile(r"_(cu|cuh|cpp|cc|cxx|c|cup|ptx)\Z")


def source_of(symbols: bytes) -> str | None:
    """Return the one file that the symbols name; None where they name none, or several.

    Only the extension's dot can be restored: ``flash_fwd_sm80_cu`` is ``flash_fwd_sm80.cu``, but
    a dash in the file's name stays a ``_``.
    """
    found = _files(_INTERNAL, symbols) or _files(_UNNAMED, symbols)
    if len(found) != 1:
        return None
    return _EXTENSION.sub(r".\1", found.pop().decode("ascii", "replace"))


def _files(pattern: re.Pattern[bytes], symbols: bytes) -> set[bytes]:
    found: set[bytes] = set()
    for match in pattern.finditer(symbols):
        end = match.end() + int(match[1])
        if symbols[end : end + 1] == b"_":
            found.add(symbols[match.end() : end])
            if len(found) > 1:
                break
    return found
