"""Describes single code objects: fatbin entries, raw cubins and raw PTX."""

from __future__ import annotations

from dataclasses import dataclass

from builder.inventory import ptx
from builder.inventory.blob import Blob, chunks
from builder.inventory.cubin import CubinReader, toolkit_in
from builder.inventory.fatbin import Entry
from builder.inventory.leading import MAX_PREFIX, leading_kernels, may_lead, names_end
from builder.inventory.limits import Limits
from builder.inventory.payload import open_payload, stream_payload
from builder.inventory.records import CodeObject, Compression, Kind
from builder.inventory.sources import source_of

_TEXTS = (Kind.PTX, Kind.RELOCATABLE_PTX)
_STREAMED = (Compression.ZSTD, Compression.ZLIB)
_PTX_HEAD = 64 << 10


@dataclass(frozen=True, slots=True)
class Details:
    """What only the payload of a code object tells."""

    kernels: tuple[str, ...] | None = None
    source: str | None = None
    toolkit: str | None = None


NO_DETAILS = Details()


def describe(entry: Entry, details: Details) -> CodeObject:
    """Put together what an entry's header and its payload say."""
    return CodeObject(
        kind=entry.kind,
        target=entry.target,
        stored_bytes=entry.stored,
        ptx_isa="{}.{}".format(*entry.version) if entry.kind in _TEXTS else None,
        toolkit=details.toolkit,
        compression=entry.compression,
        kernels=details.kernels,
    )


def read_details(blob: Blob, entry: Entry, limits: Limits) -> Details:
    """Read an entry's payload as far as needed. Raises `DamagedInputError` where it cannot be."""
    if entry.kind in _TEXTS:
        return Details(kernels=ptx.entry_names(stream_payload(blob, entry, limits)))
    if entry.kind is not Kind.CUBIN:
        return NO_DETAILS
    if entry.compression in _STREAMED:
        leading = _leading_details(blob, entry, limits)
        if leading is not None:
            return leading
    return read_whole_cubin(open_payload(blob, entry, limits))


def read_whole_cubin(blob: Blob) -> Details:
    """Read a cubin by its section table: the reference for every shorter way."""
    contents = CubinReader(blob).contents()
    return Details(contents.kernels, contents.source, contents.toolkit)


def _leading_details(blob: Blob, entry: Entry, limits: Limits) -> Details | None:
    """Try to read the names from the first part of the payload; None where it does not suffice."""
    prefix = bytearray()
    end = -1
    for piece in stream_payload(blob, entry, limits):
        searched = len(prefix)
        prefix += piece
        if not searched and not may_lead(piece):
            return None
        end = names_end(prefix, searched)
        if end >= 0 or len(prefix) > MAX_PREFIX:
            break
    if end < 0:
        return None
    kernels = leading_kernels(bytes(prefix), end)
    if kernels is None:
        return None
    return Details(kernels, source_of(bytes(prefix)), toolkit_in(bytes(prefix)))


def read_raw_cubin(blob: Blob, *, names: bool) -> tuple[CodeObject, str | None]:
    """Describe a file that is a cubin. Raises `DamagedInputError` where it cannot be read."""
    reader = CubinReader(blob)
    target = reader.target()
    contents = reader.contents()
    found = CodeObject(
        kind=Kind.CUBIN,
        target=target,
        stored_bytes=blob.size,
        toolkit=contents.toolkit,
        kernels=contents.kernels if names else None,
    )
    return found, contents.source if names else None


def read_raw_ptx(blob: Blob, *, names: bool) -> CodeObject:
    """Describe a file that is PTX text."""
    header = ptx.parse_header(blob.read_at(0, min(_PTX_HEAD, blob.size)))
    kernels = ptx.entry_names(chunks(blob, 0, blob.size)) if names else None
    return CodeObject(
        kind=Kind.PTX,
        target=header.target,
        stored_bytes=blob.size,
        ptx_isa="{}.{}".format(*header.isa),
        kernels=kernels,
    )
