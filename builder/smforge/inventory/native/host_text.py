"""The bytes of a host file outside its GPU code, searched for the names that it registers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from smforge.inventory.formats.blob import Blob
from smforge.inventory.native.region_finder import Span
from smforge.inventory.records import Origin

_CHUNK = 1 << 20
_MANGLED = re.compile(rb"_Z[^\0]+\0")
_FEW = 64
"""Names up to which each is searched for by itself."""
_MOST = 1024
"""Names beyond which none is searched for: no pass of a compiler leaves that many."""


class HostText:
    """The bytes of a host file outside its GPU code."""

    def __init__(self, blob: Blob, spans: Sequence[Span], check_time: Callable[[], None]) -> None:
        """`spans` are the places of all GPU code; `check_time` may raise to end a search."""
        self.blob = blob
        self.fatbins = tuple(span for span in spans if span.origin is not Origin.DATA)
        self._check_time = check_time
        self._code = sorted((span.offset, span.end) for span in spans)

    def without(self, names: set[str]) -> set[str]:
        """Return the names that stand nowhere, ended by a NUL.

        Linkers keep one string for several where one is the end of another, so what stands before
        a name does not matter. A name that cannot be looked for counts as one that is there.
        """
        wanted = {name.encode() + b"\0" for name in names if name and "\\" not in name}
        longest = max(map(len, wanted), default=0)
        for texts in (_mangled, _all_texts):
            if len(wanted) > _FEW:
                for part in self._parts(longest):
                    wanted.difference_update(texts(part))
        if len(wanted) > _MOST:
            return set()
        for part in self._parts(longest):
            if not wanted:
                break
            wanted = {name for name in wanted if name not in part}
        return {name[:-1].decode() for name in wanted}

    def _parts(self, overlap: int) -> Iterator[bytes]:
        """Yield the bytes in parts, each beginning with the last `overlap` bytes before it."""
        start = 0
        for offset, end in (*self._code, (self.blob.size, self.blob.size)):
            for at in range(start, offset, _CHUNK):
                self._check_time()
                first = max(start, at - overlap)
                yield self.blob.read_at(first, min(at + _CHUNK, offset) - first)
            start = max(start, end)


def _mangled(part: bytes) -> list[bytes]:
    """The mangled names of a part, each with the NUL that ends it: most kernels' names are."""
    found: list[bytes] = _MANGLED.findall(part)
    return found


def _all_texts(part: bytes) -> Iterator[bytes]:
    """Everything that a NUL ends, with it; a slow way, for names that are not mangled."""
    return (text + b"\0" for text in part.split(b"\0")[:-1])
