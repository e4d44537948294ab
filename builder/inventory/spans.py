"""Where the fatbin regions of a file lie."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from builder.errors import DamagedInputError
from builder.inventory import elf
from builder.inventory.blob import Blob
from builder.inventory.fatbin import region_end
from builder.inventory.records import Origin
from builder.inventory.scan import MagicSearch, find_regions
from builder.inventory.trouble import Trouble

_SECTIONS = {".nv_fatbin": Origin.FATBIN, "__nv_relfatbin": Origin.RELOCATABLE}
_GAP = 1 << 16


class Span(NamedTuple):
    """The place of one region, or of a section of them."""

    origin: Origin
    section: str
    offset: int
    end: int


def elf_spans(blob: Blob, trouble: Trouble) -> Iterator[Span]:
    """Yield the regions of a host ELF file, whether or not its section table was stripped."""
    sections = elf.read_sections(blob, elf.read_header(blob))
    if not sections:
        for offset, end in find_regions(blob, 0, blob.size, trouble.check_time):
            yield Span(Origin.EMBEDDED, "", offset, end)
        return
    for section in elf.data_sections(sections):
        if section.end > blob.size:
            message = (
                f"The file ends at byte {blob.size}, before its section {section.name!r} does."
            )
            trouble.record(DamagedInputError(message), section.offset)
            continue
        origin = _SECTIONS.get(section.name)
        if origin is not None:
            place = Span(origin, section.name, section.offset, section.end)
            yield from _walk(blob, place, trouble)
        else:
            for offset, end in find_regions(blob, section.offset, section.end, trouble.check_time):
                yield Span(Origin.EMBEDDED, section.name, offset, end)


def raw_spans(blob: Blob, trouble: Trouble) -> Iterator[Span]:
    """Yield the regions of a file that is itself a fatbin."""
    return _walk(blob, Span(Origin.RAW, "", 0, blob.size), trouble)


def _walk(blob: Blob, place: Span, trouble: Trouble) -> Iterator[Span]:
    """Yield the regions of a place made of nothing but regions and zeros between them.

    Anything else is recorded as damage, and reading goes on at the next region.
    """
    position = _skip_zeros(blob, place.offset, place.end)
    while position < place.end:
        try:
            end = region_end(blob, position, place.end)
        except DamagedInputError as error:
            trouble.record(error, position)
            found = MagicSearch(blob, place.end).next_from(position + 1)
            position = place.end if found is None else found
            continue
        yield Span(place.origin, place.section, position, end)
        position = _skip_zeros(blob, end, place.end)


def _skip_zeros(blob: Blob, start: int, end: int) -> int:
    """Return where the first byte other than zero lies, rounded down to 8 bytes."""
    position = start
    length = 8
    while position < end:
        data = blob.read_at(position, min(length, end - position))
        rest = data.lstrip(b"\0")
        if rest:
            return position + (len(data) - len(rest)) // 8 * 8
        position += len(data)
        length = _GAP
    return end
