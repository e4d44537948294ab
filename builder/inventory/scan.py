"""Finds fatbins where no section announces them: by their magic, and then by being whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from builder.errors import DamagedInputError
from builder.inventory.blob import Blob
from builder.inventory.fatbin import REGION_MAGIC, Entry, read_entries, region_end
from builder.inventory.records import Kind

_CHUNK = 4 << 20
_OVERLAP = len(REGION_MAGIC) - 1


def find_magic(blob: Blob, start: int, end: int) -> Iterator[int]:
    """Yield every offset in the range where a region header may begin."""
    position = start
    while position < end:
        data = blob.read_at(position, min(_CHUNK + _OVERLAP, end - position))
        found = data.find(REGION_MAGIC)
        while 0 <= found < _CHUNK:
            yield position + found
            found = data.find(REGION_MAGIC, found + 1)
        position += _CHUNK


def find_regions(
    blob: Blob, start: int, end: int, check_time: Callable[[], None]
) -> Iterator[tuple[int, int]]:
    """Yield (offset, end) of every whole fatbin in the range.

    `check_time` is called for each place that is looked at, and may raise to end the search.

    The magic also stands in the code and tables of programs that read fatbins, so whatever does
    not hold at least one entry, and known kinds from its first byte to its last, is not one.
    """
    after = start
    for offset in find_magic(blob, start, end):
        if offset < after:
            continue
        check_time()
        try:
            stop = region_end(blob, offset, end)
            entries = list(read_entries(blob, offset, stop))
        except DamagedInputError:
            continue
        if entries and all(map(_plausible, entries)):
            after = stop
            yield offset, stop


def _plausible(entry: Entry) -> bool:
    return entry.kind is not Kind.UNKNOWN and 1 <= entry.target.capability.major < 100
