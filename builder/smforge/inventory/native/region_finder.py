"""Finds the fatbin regions of a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from smforge.errors import DamagedInputError
from smforge.inventory.formats import elf, pe
from smforge.inventory.formats.blob import Blob
from smforge.inventory.formats.fatbin import REGION_MAGIC, region_end
from smforge.inventory.native.damage_log import DamageLog
from smforge.inventory.native.magic_scan import MagicSearch, find_code
from smforge.inventory.records import Origin

_SECTIONS = {".nv_fatbin": Origin.FATBIN, "__nv_relfatbin": Origin.RELOCATABLE}
_WINDOWS_SECTIONS = {pe.FATBINS: Origin.FATBIN, pe.RELOCATABLE_FATBINS: Origin.RELOCATABLE}
_GAP = 1 << 16
_LEAST_CODE = 128
"""Bytes below which a range is padding between sections, and holds no GPU code."""
_MOST_PADDING = 1 << 12
"""Zeros between regions beyond which something is missing; none over 63 bytes was seen."""


class Span(NamedTuple):
    """The place of one region, or of a section of them."""

    origin: Origin
    section: str
    offset: int
    end: int


def elf_spans(blob: Blob, sections: list[elf.Section], log: DamageLog) -> Iterator[Span]:
    """Yield the regions of a host ELF file, and code outside its sections.

    `sections` is empty where they were stripped. Those that take more bytes than the file has
    overlap one another, which no linker makes, and reading each would take any time.
    """
    searched = list(elf.data_sections(sections))
    size = sum(section.size for section in searched if section.end <= blob.size)
    if size > blob.size:
        message = f"Its sections take {size} bytes, more than the {blob.size} of the file."
        raise DamagedInputError(message)
    for section in searched:
        yield from _section_spans(blob, section, log)
    for start, end in _outside(sections, blob.size):
        yield from _searched(blob, start, end, log)


def _outside(sections: list[elf.Section], size: int) -> Iterator[tuple[int, int]]:
    """Yield the ranges of a file of `size` bytes that no section covers.

    The loader reads segments, so that code may stand where no section says so, and a program may
    read what is appended to its own file.
    """
    position = 0
    held = (one for one in sections if one.type not in {0, elf.SHT_NOBITS} and one.end <= size)
    for section in sorted(held, key=lambda one: one.offset):
        if section.offset - position >= _LEAST_CODE:
            yield position, section.offset
        position = max(position, section.end)
    if size - position >= _LEAST_CODE:
        yield position, size


def _section_spans(blob: Blob, section: elf.Section, log: DamageLog) -> Iterator[Span]:
    if section.end > blob.size:
        message = f"The file ends at byte {blob.size}, before its section {section.name!r} does."
        log.record(DamagedInputError(message), section.offset)
        return
    origin = _SECTIONS.get(section.name)
    if origin is not None:
        place = Span(origin, section.name, section.offset, section.end)
        yield from _walk(blob, place, log)
        return
    yield from _searched(blob, section.offset, section.end, log, section.name)


def windows_spans(blob: Blob, file: pe.WindowsFile, log: DamageLog) -> Iterator[Span]:
    """Yield the regions of a file for Windows, and code outside its sections."""
    position = 0
    for section in sorted(file.sections, key=lambda one: one.offset):
        origin = _WINDOWS_SECTIONS.get(section.name)
        if origin is None:
            continue
        end = min(section.end, blob.size)
        yield from _searched(blob, position, section.offset, log)
        if end < section.end or not section.size:
            message = f"The section {section.name!r} for GPU code is not whole, or empty."
            log.record(DamagedInputError(message), section.offset)
        yield from _walk(blob, Span(origin, section.name, min(section.offset, end), end), log)
        position = max(position, end)
    yield from _searched(blob, position, blob.size, log)


def _searched(blob: Blob, start: int, end: int, log: DamageLog, name: str = "") -> Iterator[Span]:
    """Yield the code in a place that is not made for it."""
    for found in find_code(blob, start, end, log.check_time):
        yield Span(found.origin, name, found.offset, found.end)


def check_registered(
    spans: list[Span], registered: Mapping[int, int], section: int | None, log: DamageLog
) -> None:
    """Record damage where a host file registers a region that is not there.

    `registered` holds the place of each wrapper and of the region that it names, and `section` is
    where a section for wrappers begins. Somebody took the GPU code out, or a torn copy has zeros
    in its place.
    """
    starts = {span.offset for span in spans}
    for wrapper, region in registered.items():
        if region not in starts:
            message = f"It registers GPU code at byte {region}, and there is none."
            log.record(DamagedInputError(message), wrapper)
    if section is not None and not spans and not registered:
        message = "It registers GPU code with the runtime, but the code itself is not there."
        log.record(DamagedInputError(message), section)


def raw_spans(blob: Blob, log: DamageLog) -> Iterator[Span]:
    """Yield the regions of a file that is itself a fatbin."""
    return _walk(blob, Span(Origin.RAW, "", 0, blob.size), log)


def _walk(blob: Blob, place: Span, log: DamageLog) -> Iterator[Span]:
    """Yield the regions of a place made of nothing but regions and zeros between them.

    Anything else is recorded as damage, and reading goes on at the next region. So are zeros
    beyond any padding: where a copy was cut off or torn, regions turn into zeros.
    """
    before = place.offset
    while (position := _skip_zeros(blob, before, place.end, log)) < place.end:
        _check_padding(before, position, log)
        try:
            end = region_end(blob, position, place.end)
        except DamagedInputError as error:
            log.record(error, position)
            search = MagicSearch(blob, place.end, REGION_MAGIC, check_time=log.check_time)
            found = search.next_from(position + 1)
            before = place.end if found is None else found
            continue
        yield Span(place.origin, place.section, position, end)
        before = end
    whole = before == place.offset
    _check_padding(before, position, log, most=0 if whole else _MOST_PADDING)


def _check_padding(start: int, end: int, log: DamageLog, most: int = _MOST_PADDING) -> None:
    if end - start > most:
        message = f"{end - start} bytes of zeros stand where GPU code is expected."
        log.record(DamagedInputError(message), start)


def _skip_zeros(blob: Blob, start: int, end: int, log: DamageLog) -> int:
    """Return the offset of the first byte other than zero, rounded down to 8 bytes."""
    position = start
    length = 8
    while position < end:
        log.check_time()
        data = blob.read_at(position, min(length, end - position))
        rest = data.lstrip(b"\0")
        if rest:
            return position + (len(data) - len(rest)) // 8 * 8
        position += len(data)
        length = _GAP
    return end
