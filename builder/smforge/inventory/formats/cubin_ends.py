"""The ends of a large cubin, kept while the machine code between them streams by."""

from __future__ import annotations

from smforge.errors import DamagedInputError
from smforge.inventory.formats.blob import Blob
from smforge.inventory.formats.elf import parse_header
from smforge.inventory.formats.fatbin import Entry
from smforge.inventory.formats.limits import Limits
from smforge.inventory.formats.payload import stream_payload

_HEAD = 8 << 20
"""Names, symbols and notes lie in the first megabytes; the section table follows the code."""


class NotKeptError(Exception):
    """A range was asked for that lies in the part that was not kept."""


class PartialBlob:
    """A blob of which only the start and the end are known."""

    def __init__(self, head: bytes, tail: bytes, size: int) -> None:
        self._head = head
        self._tail = tail
        self.size = size

    def read_at(self, offset: int, length: int) -> bytes:
        """Return the range. Raises `NotKeptError` where it was not kept."""
        if offset < 0 or length < 0 or offset + length > self.size:
            raise DamagedInputError(
                f"The code object ends at byte {self.size}, before the {length} bytes expected "
                f"at {offset}."
            )
        if offset + length <= len(self._head):
            return self._head[offset : offset + length]
        start = offset - (self.size - len(self._tail))
        if start < 0:
            raise NotKeptError
        return self._tail[start : start + length]


def open_ends(blob: Blob, entry: Entry, limits: Limits) -> Blob:
    """Unpack the whole payload of a cubin, keeping its first part and its section table."""
    head = bytearray()
    tail = bytearray()
    tail_start = position = 0
    for piece in stream_payload(blob, entry, limits):
        if not position:
            tail_start = max(parse_header(piece).sections_offset, _HEAD)
        if position < _HEAD:
            head += piece[: _HEAD - position]
        position += len(piece)
        if position > tail_start:
            tail += piece[max(0, len(piece) - (position - tail_start)) :]
    return PartialBlob(bytes(head), bytes(tail), position)
