"""Files that are a code object themselves: cubins and PTX texts."""

from __future__ import annotations

from smforge.inventory.formats import ptx
from smforge.inventory.formats.blob import Blob, chunks
from smforge.inventory.formats.cubin import CubinReader
from smforge.inventory.formats.elf import Header
from smforge.inventory.formats.limits import Limits
from smforge.inventory.records import CodeObject, Kind

_PTX_HEAD = 64 << 10


def read_raw_cubin(blob: Blob, header: Header, *, names: bool) -> tuple[CodeObject, str | None]:
    """Describe a file that is a cubin. Raises `DamagedInputError` where it cannot be read."""
    reader = CubinReader(blob, header)
    contents = reader.contents() if names else None
    found = CodeObject(
        kind=Kind.CUBIN,
        target=reader.target(),
        stored_bytes=blob.size,
        toolkit=reader.toolkit(),
        kernels=contents.kernels if contents else None,
    )
    return found, contents.source if contents else None


def read_raw_ptx(blob: Blob, limits: Limits, *, names: bool) -> CodeObject:
    """Describe a file that is PTX text."""
    header = ptx.parse_header(blob.read_at(0, min(_PTX_HEAD, blob.size)))
    kernels = ptx.entry_names(chunks(blob, 0, blob.size), limits.kernels) if names else None
    return CodeObject(
        kind=Kind.PTX,
        target=header.target,
        stored_bytes=blob.size,
        ptx_isa="{}.{}".format(*header.isa),
        kernels=kernels,
    )
