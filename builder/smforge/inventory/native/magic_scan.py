"""Finds fatbins where no section announces them: by their magic, and then by being whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from smforge.errors import DamagedInputError
from smforge.inventory.formats.blob import Blob
from smforge.inventory.formats.fatbin import REGION_MAGIC, Entry, read_entries, region_end
from smforge.inventory.records import Kind

_CHUNK = 256 << 10
"""What stays in a CPU's cache while it is searched."""


class MagicSearch:
    """Searches a blob up to `end` for a few bytes, from any position onwards."""

    def __init__(self, blob: Blob, end: int, magic: bytes = REGION_MAGIC) -> None:
        self._blob = blob
        self._end = end
        self._magic = magic
        self._data = b""
        self._base = 0

    def next_from(self, position: int) -> int | None:
        """Return the first offset at or after `position` where the bytes stand."""
        length = len(self._magic)
        while position + length <= self._end:
            if not 0 <= position - self._base <= len(self._data) - length:
                self._base = position
                self._data = self._blob.read_at(position, min(_CHUNK, self._end - position))
            found = self._data.find(self._magic, position - self._base)
            if found >= 0:
                return self._base + found
            # Bytes that the chunk cuts in two begin within its last ones.
            position = self._base + len(self._data) - length + 1
        return None


def find_regions(
    blob: Blob, start: int, end: int, check_time: Callable[[], None]
) -> Iterator[tuple[int, int]]:
    """Yield (offset, end) of every whole fatbin in the range.

    `check_time` is called for each place that is looked at, and may raise to end the search.
    The magic also stands in the code and tables of programs that read fatbins, so whatever does
    not hold at least one entry, and known kinds from its first byte to its last, is not one.
    """
    search = MagicSearch(blob, end)
    offset = search.next_from(start)
    while offset is not None:
        check_time()
        following = offset + 1
        try:
            stop = region_end(blob, offset, end)
            entries = list(read_entries(blob, offset, stop))
        except DamagedInputError:
            entries = []
        if entries and all(map(_plausible, entries)):
            yield offset, stop
            following = stop
        offset = search.next_from(following)


def _plausible(entry: Entry) -> bool:
    return entry.kind is not Kind.UNKNOWN and 1 <= entry.target.capability.major < 100
