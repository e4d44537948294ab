"""Reads what only the payload of a code object tells: kernel names, source file, producer.

Imported only when names are wanted: the decompressors take longer to load than a library's
headers take to read.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from smforge.inventory.byte_budget import Room
from smforge.inventory.formats import ptx
from smforge.inventory.formats.blob import Blob
from smforge.inventory.formats.cubin import CubinReader, toolkit_in
from smforge.inventory.formats.cubin_ends import NotKeptError, open_ends
from smforge.inventory.formats.cubin_prefix import (
    MAX_PREFIX,
    Leading,
    leading_kernels,
    may_lead,
    names_end,
)
from smforge.inventory.formats.fatbin import Entry
from smforge.inventory.formats.limits import Limits
from smforge.inventory.formats.payload import open_payload, stream_payload
from smforge.inventory.native.code import NO_DETAILS, TEXTS, Details
from smforge.inventory.native.source_names import source_of
from smforge.inventory.records import Compression, Kind

_STREAMED = (Compression.ZSTD, Compression.ZLIB)
_LARGE = 16 << 20
"""Unpacked bytes from which a cubin is not held in memory whole where that can be helped."""
_unpacked = Room(48 << 20)
"""For what all threads together hold of payloads that can only be unpacked whole."""
_FIRST_PIECE = 64 << 10
"""Bytes per piece where a payload is read until the names end: seldom more than two."""


def read_details(blob: Blob, entry: Entry, limits: Limits) -> Details:
    """Read an entry's payload as far as needed. Raises `DamagedInputError` where it cannot be."""
    if entry.compression is not Compression.LZ4:
        return _read(blob, entry, limits)
    # An LZ4 block can only be unpacked whole.
    with _unpacked.room_for(entry.size + entry.stored):
        return _read(blob, entry, limits)


def _read(blob: Blob, entry: Entry, limits: Limits) -> Details:
    if entry.kind in TEXTS:
        return Details(kernels=text_names(stream_payload(blob, entry, limits)))
    if entry.kind is not Kind.CUBIN:
        return NO_DETAILS
    if entry.compression in _STREAMED:
        leading = _leading_details(blob, entry, limits)
        if leading is not None:
            return leading
        if entry.size > _LARGE:
            try:
                return read_whole_cubin(open_ends(blob, entry, limits))
            except NotKeptError:
                pass
    return read_whole_cubin(open_payload(blob, entry, limits))


def text_names(pieces: Iterator[bytes]) -> tuple[str, ...]:
    first = next(pieces, b"")
    text = chain((first,), pieces)
    if ptx.generated_by_compiler(first):
        return ptx.generated_entry_names(text)
    return ptx.entry_names(text)


def read_whole_cubin(blob: Blob) -> Details:
    """Read a cubin by its section table: the reference for every shorter way."""
    contents = CubinReader(blob).contents()
    return Details(contents.kernels, contents.source, contents.toolkit)


def _leading_details(blob: Blob, entry: Entry, limits: Limits) -> Details | None:
    """Try to read the names from the first part of the payload; None where it does not suffice."""
    prefix = bytearray()
    end = -1
    enough = 0
    kernels: tuple[str, ...] | Leading = Leading.UNFINISHED
    for piece in stream_payload(blob, entry, limits, _FIRST_PIECE):
        searched = len(prefix)
        prefix += piece
        if not searched and not may_lead(piece):
            return None
        if end < 0:
            end = names_end(prefix, searched)
        if end >= 0 and len(prefix) >= enough:
            # Where it does not suffice, looking again pays when there is much more of it.
            leading, enough = bytes(prefix), 2 * len(prefix)
            kernels = leading_kernels(leading, end)
        if kernels is not Leading.UNFINISHED or len(prefix) > MAX_PREFIX:
            break
    if isinstance(kernels, Leading):
        return None
    # What is internal to a unit is seldom a kernel: most such names stand behind the sections'.
    source = source_of(leading[end:]) or source_of(leading[:end])
    return Details(kernels, source, toolkit_in(leading[end:]))
