"""Code objects without a fatbin around them: cubins and PTX texts, as files or among data."""

from __future__ import annotations

from smforge.inventory.formats import elf, ptx
from smforge.inventory.formats.blob import Blob, SliceBlob, chunks
from smforge.inventory.formats.cubin import CubinReader
from smforge.inventory.formats.limits import Limits
from smforge.inventory.formats.ptx_end import check_whole
from smforge.inventory.native.region_finder import Span
from smforge.inventory.options import ReadOptions
from smforge.inventory.records import CodeObject, Kind, Region

_PTX_HEAD = 64 << 10


def read_raw_cubin(blob: Blob, header: elf.Header, *, names: bool) -> tuple[CodeObject, str | None]:
    """Describe a blob that is a cubin. Raises `DamagedInputError` where it cannot be read."""
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


def read_ptx_file(path: str, blob: Blob, limits: Limits, *, names: bool) -> CodeObject:
    """Describe a file that is PTX text, and is whole. Raises as `read_raw_cubin` does.

    The source of a program may hold such a text within its own (numba's tests do); where that one
    ends is not known, so it is not asked whether it is whole.
    """
    found = read_raw_ptx(blob, limits, names=names)
    head = blob.read_at(0, min(_PTX_HEAD, blob.size))
    if path.endswith(".ptx") or ptx.begins_with_version(head):
        check_whole(chunks(blob, 0, blob.size))
    return found


def read_raw_ptx(blob: Blob, limits: Limits, *, names: bool) -> CodeObject:
    """Describe a blob that is PTX text, or a part of one: a program may put a text together.

    Raises as `read_raw_cubin` does.
    """
    header = ptx.parse_header(blob.read_at(0, min(_PTX_HEAD, blob.size)))
    kernels = ptx.entry_names(chunks(blob, 0, blob.size), limits.kernels) if names else None
    return CodeObject(
        kind=Kind.PTX,
        target=header.target,
        stored_bytes=blob.size,
        ptx_isa="{}.{}".format(*header.isa),
        kernels=kernels,
    )


def read_data(blob: Blob, span: Span, options: ReadOptions, member: str, base: int) -> Region:
    """Describe one cubin or PTX text among the data of a host file that begins at byte `base`.

    Raises `DamagedInputError` where it cannot be read.
    """
    part = SliceBlob(blob, span.offset, span.end - span.offset)
    source = None
    if part.read_at(0, len(elf.MAGIC)) == elf.MAGIC:
        found, source = read_raw_cubin(part, elf.read_header(part), names=options.names)
    else:
        found = read_raw_ptx(part, options.limits, names=options.names)
    return Region(span.origin, span.section, base + span.offset, (found,), source, member)
