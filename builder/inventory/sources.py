"""From the symbols of a code object back to the file its translation unit was compiled from."""

from __future__ import annotations

import re

_UNIT = re.compile(rb"_(?:INTERNAL|GLOBAL__N)__?[0-9a-f]{8}_(\d{1,4})_(?=[\w$])")
"""nvcc names what is internal to a translation unit
``_INTERNAL_<hash>_<length>_<file>_<hash>``, or ``_GLOBAL__N__…`` in an unnamed namespace,
where `file` has every character that no symbol may hold replaced by ``_``."""

_EXTENSION = re.compile(r"_(cu|cuh|cpp|cc|cxx|c|cup|ptx)\Z")
_ENOUGH = 64


def source_of(symbols: bytes) -> str | None:
    """Return the one file that the symbols name; None where they name none, or several.

    Only the extension's dot can be restored: ``flash_fwd_sm80_cu`` is ``flash_fwd_sm80.cu``, but
    a dash in the file's name stays a ``_``.
    """
    found: set[bytes] = set()
    for count, match in enumerate(_UNIT.finditer(symbols)):
        length = int(match[1])
        name = symbols[match.end() : match.end() + length]
        if len(name) == length and symbols[match.end() + length :][:1] == b"_":
            found.add(name)
        if len(found) > 1 or count > _ENOUGH:
            break
    if len(found) != 1:
        return None
    return _EXTENSION.sub(r".\1", found.pop().decode("ascii", "replace"))
