"""Finds GPU code where no section announces it: by its first bytes, and then by being whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from smforge.errors import DamagedInputError
from smforge.inventory.formats import elf
from smforge.inventory.formats.blob import Blob, SliceBlob
from smforge.inventory.formats.fatbin import REGION_MAGIC, Entry, read_entries, region_end
from smforge.inventory.records import Kind, Origin

_CHUNK = 256 << 10
"""Bytes that fit into a CPU's cache while they are searched."""
_CUBIN: Final = elf.MAGIC + b"\x02\x01\x01"
"""How a 64-bit ELF file begins."""
_TEXT: Final = b".target"
"""The second directive of every PTX text."""
_TARGET = re.compile(rb"\.target\s+sm_\d")
_VERSION = re.compile(rb"\.version\s+\d+\.\d+(?:\s|//[^\n]*\n|/\*.*?\*/)+\Z", re.DOTALL)
_BEFORE_TARGET = 256
"""Bytes before ``.target`` that hold ``.version``: compilers put one newline between."""
_TARGET_BYTES = 32
_LONGEST_TEXT = 64 << 20
_DECLARED = re.compile(rb"\.(?:entry|func)\b")


def _no_limit() -> None:
    """Allow any time."""


class MagicSearch:
    """Searches a blob up to `end` for the first of several short byte strings.

    `check_time` is called for each part that is read, and may raise to end the search.
    """

    def __init__(
        self, blob: Blob, end: int, *magics: bytes, check_time: Callable[[], None] = _no_limit
    ) -> None:
        self._blob = blob
        self._end = end
        self._check_time = check_time
        self._longest = max(map(len, magics))
        self._data = b""
        self._base = 0
        self._next = dict.fromkeys(magics, -1)
        """The next offset of each in the data; beyond the data if there is none."""

    def next_from(self, position: int) -> int | None:
        """Return the first offset at or after `position` that has one of them."""
        while position < self._end:
            if not 0 <= position - self._base <= len(self._data) - self._longest:
                self._load(position)
            found = min(self._find(magic, position - self._base) for magic in self._next)
            if found < len(self._data):
                return self._base + found
            if self._base + len(self._data) >= self._end:
                return None
            # What the chunk cuts in two begins within its last bytes.
            position = self._base + len(self._data) - self._longest + 1
        return None

    def _load(self, position: int) -> None:
        self._check_time()
        self._base = position
        length = min(max(_CHUNK, self._longest), self._end - position)
        self._data = self._blob.read_at(position, length)
        self._next = dict.fromkeys(self._next, -1)

    def _find(self, magic: bytes, start: int) -> int:
        """Return the offset of `magic` at or after `start`, and remember it for later positions."""
        if self._next[magic] < start:
            found = self._data.find(magic, start)
            self._next[magic] = found if found >= 0 else len(self._data)
        return self._next[magic]


class Found(NamedTuple):
    """GPU code among other bytes: a fatbin (`Origin.EMBEDDED`), or one object (`Origin.DATA`)."""

    origin: Origin
    offset: int
    end: int


def find_code(blob: Blob, start: int, end: int, check_time: Callable[[], None]) -> Iterator[Found]:
    """Yield every whole fatbin, cubin and PTX text in the range.

    `check_time` is called for each part and for each place that is looked at, and may raise to end
    the search.
    These magics also stand in the code and tables of programs that read such files, so whatever
    is not whole from its first byte to its last is not one.
    """
    search = MagicSearch(blob, end, REGION_MAGIC, _CUBIN, _TEXT, check_time=check_time)
    position = search.next_from(start)
    while position is not None:
        check_time()
        found = _code_at(blob, position, start, end)
        if found is not None:
            yield found
        position = search.next_from(position + 1 if found is None else found.end)


def _code_at(blob: Blob, offset: int, start: int, end: int) -> Found | None:
    magic = blob.read_at(offset, 1)
    try:
        if magic == REGION_MAGIC[:1]:
            stop = region_end(blob, offset, end)
            entries = list(read_entries(blob, offset, stop))
            whole = bool(entries) and all(map(_plausible, entries))
            return Found(Origin.EMBEDDED, offset, stop) if whole else None
        if magic == _CUBIN[:1]:
            return _cubin_at(blob, offset, end)
        return _text_at(blob, offset, start, end)
    except DamagedInputError:
        return None


def _plausible(entry: Entry) -> bool:
    return entry.kind is not Kind.UNKNOWN and 1 <= entry.target.capability.major < 100


def _cubin_at(blob: Blob, offset: int, end: int) -> Found | None:
    rest = SliceBlob(blob, offset, end - offset)
    header = elf.read_header(rest)
    if header.machine != elf.MACHINE_CUDA or not header.section_count:
        return None
    size = elf.extent(rest, header)
    return Found(Origin.DATA, offset, offset + size) if size <= rest.size else None


def _text_at(blob: Blob, target: int, start: int, end: int) -> Found | None:
    """Look for a text around its ``.target``; it must declare a kernel or a function."""
    if _TARGET.match(blob.read_at(target, min(_TARGET_BYTES, end - target))) is None:
        return None
    before = blob.read_at(max(start, target - _BEFORE_TARGET), min(_BEFORE_TARGET, target - start))
    version = _VERSION.search(before)
    if version is None:
        return None
    last = min(end, target + _LONGEST_TEXT)
    # A text need not end with a NUL: a program may know its length.
    close = MagicSearch(blob, last, b"\0").next_from(target) or last
    text = blob.read_at(target, close - target)
    if _DECLARED.search(text) is None:
        return None
    return Found(Origin.DATA, target - len(before) + version.start(), close)
