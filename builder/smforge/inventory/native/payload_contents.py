"""Reads what only the payload of a code object tells: its real target, kernel names, its producer.

Imported only where payloads are read: the decompressors take longer to load than a library's
headers take to read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import chain

from smforge.inventory.byte_budget import ByteBudget
from smforge.inventory.formats import cubin, elf, ptx
from smforge.inventory.formats.blob import Blob
from smforge.inventory.formats.contents import NOT_READ, Contents
from smforge.inventory.formats.cubin_ends import NotKeptError, open_ends
from smforge.inventory.formats.cubin_prefix import (
    MAX_PREFIX,
    PrefixDoubt,
    kernels_of_prefix,
    names_come_first,
    names_end,
)
from smforge.inventory.formats.fatbin import TEXTS, Entry
from smforge.inventory.formats.limits import Limits
from smforge.inventory.formats.payload import open_payload, payload_head, stream_payload
from smforge.inventory.formats.source_names import source_of
from smforge.inventory.records import Compression, Kind

_STREAMED = (Compression.ZSTD, Compression.ZLIB)
_LARGE = 16 << 20
"""Unpacked bytes from which a cubin is not held in memory whole where that can be helped."""
_unpacked = ByteBudget(48 << 20)
"""For what all threads together hold of payloads that can only be unpacked whole."""
_FIRST_PIECE = 64 << 10
"""Bytes per piece where a payload is read until the names end: seldom more than two."""
_CUBINS = (Kind.CUBIN, Kind.OLD_CUBIN)
"""Both run, so what their header says is never believed unread."""
_ELF_HEAD = 64
_TEXT_HEAD = 128
_LONGEST_TEXT_HEAD = 64 << 10
"""Bytes of PTX in which its first directives stand: where compilers wrote it, and at most."""


def read_head(blob: Blob, entry: Entry, limits: Limits) -> Contents:
    """Read from the start of a payload what it was made for, and no more.

    Raises `DamagedInputError` where the payload is not what the entry's header says it is.
    """
    if entry.kind in TEXTS:
        head = payload_head(blob, entry, _TEXT_HEAD, limits)
        if not ptx.generated_by_compiler(head):
            head = payload_head(blob, entry, _LONGEST_TEXT_HEAD, limits)
        header = ptx.parse_header(head)
        return Contents(header.target, header.isa)
    if entry.kind in _CUBINS:
        head = payload_head(blob, entry, _ELF_HEAD, limits)
        return Contents(cubin.target_of(elf.parse_header(head)))
    return NOT_READ


def read_contents(blob: Blob, entry: Entry, limits: Limits) -> Contents:
    """Read an entry's payload as far as needed. Raises `DamagedInputError` where it cannot be."""
    if entry.kind in TEXTS:
        with _room_for(entry) if entry.compression is Compression.LZ4 else nullcontext():
            return text_contents(stream_payload(blob, entry, limits), limits)
    if entry.kind not in _CUBINS:
        return NOT_READ
    if entry.compression in _STREAMED:
        leading = _contents_of_prefix(blob, entry, limits)
        if leading is not None:
            return leading
        if entry.size > _LARGE:
            try:
                return cubin.CubinReader(open_ends(blob, entry, limits)).contents()
            except NotKeptError:
                pass
    return _whole_cubin(blob, entry, limits)


def text_contents(pieces: Iterator[bytes], limits: Limits) -> Contents:
    """Read a PTX text that comes in pieces."""
    first = next(pieces, b"")
    header = ptx.parse_header(first)
    read = ptx.generated_entry_names if ptx.generated_by_compiler(first) else ptx.entry_names
    return Contents(header.target, header.isa, read(chain((first,), pieces), limits.kernels))


def _whole_cubin(blob: Blob, entry: Entry, limits: Limits) -> Contents:
    """Read a cubin by its section table: the reference for every shorter way."""
    if entry.compression is Compression.NONE:
        return cubin.CubinReader(open_payload(blob, entry, limits)).contents()
    if entry.compression is Compression.LZ4:
        # What is no cubin shows at its start, before anything is unpacked whole.
        read_head(blob, entry, limits)
    with _room_for(entry):
        return cubin.CubinReader(open_payload(blob, entry, limits)).contents()


def _room_for(entry: Entry) -> AbstractContextManager[None]:
    return _unpacked.hold(entry.size + entry.stored)


def _contents_of_prefix(blob: Blob, entry: Entry, limits: Limits) -> Contents | None:
    """Try to read the names from the first part of the payload; None where it does not suffice."""
    prefix = bytearray()
    end = -1
    enough = 0
    kernels: tuple[str, ...] | PrefixDoubt = PrefixDoubt.UNFINISHED
    for piece in stream_payload(blob, entry, limits, _FIRST_PIECE):
        searched = len(prefix)
        prefix += piece
        if not searched and not names_come_first(piece):
            return None
        if end < 0:
            end = names_end(prefix, searched)
        if end >= 0 and len(prefix) >= enough:
            # Where it does not suffice, looking again pays when there is much more of it.
            leading, enough = bytes(prefix), 2 * len(prefix)
            kernels = kernels_of_prefix(leading, end)
        if kernels is not PrefixDoubt.UNFINISHED or len(prefix) > MAX_PREFIX:
            break
    if isinstance(kernels, PrefixDoubt):
        return None
    notes = leading[end:]
    target = cubin.target_of(elf.parse_header(leading))
    return Contents(
        cubin.with_noted_suffix(target, notes),
        None,
        kernels,
        # What is internal to a unit is seldom a kernel: most such names stand behind the sections'.
        source_of(notes) or source_of(leading[:end]),
        cubin.toolkit_in(notes),
    )
