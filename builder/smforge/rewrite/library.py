"""Finds the changes of one library, and writes the changed library."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from smforge.arch.target import Target
from smforge.errors import DamagedInputError
from smforge.inventory.digest import sha256_between, sha256_of
from smforge.inventory.formats.blob import Blob, FileBlob
from smforge.inventory.formats.fatbin import REGION_MAGIC, region_end
from smforge.inventory.formats.limits import Limits
from smforge.inventory.formats.payload import open_payload, stream_payload
from smforge.inventory.records import Kind
from smforge.rewrite.assembling import Made, Unit, digest_of
from smforge.rewrite.choice import Assembly, Code, assemblies, needed
from smforge.rewrite.entries import Place, cubin_entry, entry_places, marker_entry
from smforge.rewrite.host_elf import HostElf, Reference, read_host_elf, references, wrappers
from smforge.rewrite.records import LibraryChange, MadeRecord, ObjectRecord, RegionChange, Request
from smforge.rewrite.toolchain import toolkit_for
from smforge.rewrite.writer import NewRegion, Piece, write_library

_STEP: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class OldRegion:
    """A region of the library, and the machine code to be made for it."""

    offset: int
    places: tuple[Place, ...]
    made: tuple[tuple[Assembly, Unit], ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The changes of one library."""

    library: HostElf
    references: tuple[Reference, ...]
    regions: tuple[OldRegion, ...]

    def texts(self, old: Blob, limits: Limits) -> dict[Unit, Callable[[], bytes]]:
        """How to get the text of every unit that is to be assembled."""
        return {
            unit: partial(_text, old, region.places[assembly.ptx], limits)
            for region in self.regions
            for assembly, unit in region.made
        }


def plan_library(old: Blob, request: Request, limits: Limits) -> Plan:
    """Find the changes. Raises `DamagedInputError` where the library has a form that cannot be
    rewritten, and `UsageError` where no assembler can make what is missing.
    """
    library = read_host_elf(old)
    found = references(old, library)
    _check_wrappers(old, library, found)
    end = library.section.offset + library.section.size
    regions = []
    for offset in region_places(old, library):
        places = entry_places(old, offset, end)
        regions.append(OldRegion(offset, places, tuple(_units(old, places, request, limits))))
    return Plan(library, found, tuple(regions))


def region_places(old: Blob, library: HostElf) -> list[int]:
    """Return where the regions begin; the section must hold nothing else but zeros between them.

    Raises `DamagedInputError` where it does.
    """
    section = library.section
    end = section.offset + section.size
    found = []
    position = section.offset
    while position < end:
        head = old.read_at(position, min(8, end - position))
        if head != REGION_MAGIC:
            if head.strip(b"\0"):
                raise DamagedInputError(
                    f"Something else than a region stands at byte {position} of the GPU code.",
                    remedy="Audit the library: it says what is damaged.",
                )
            position += len(head)
            continue
        found.append(position)
        position = region_end(old, position, end)
    return found


def _check_wrappers(old: Blob, library: HostElf, found: Sequence[Reference]) -> None:
    """Every pointer that the runtime is given must be one that is known and will be changed."""
    filled = {one.fills for one in found}
    for place, address in wrappers(old, library).items():
        section = library.section
        inside = section.address <= address < section.address + section.size
        if place not in filled and (inside or not address):
            raise DamagedInputError(
                "The library cannot be rewritten: it registers GPU code by a pointer that no "
                "relocation fills.",
                remedy="Keep it as it is, or build it for the devices that you need.",
            )


def _units(
    old: Blob, places: Sequence[Place], request: Request, limits: Limits
) -> list[tuple[Assembly, Unit]]:
    units = []
    for assembly in assemblies(_codes(places), request.serve):
        place = places[assembly.ptx]
        isa = "{}.{}".format(*place.entry.version)
        version = request.toolkit or toolkit_for(isa, assembly.target).version
        digest = digest_of(stream_payload(old, place.entry, limits, _STEP))
        units.append((assembly, Unit(digest, assembly.target, place.options, version)))
    return units


def _codes(places: Sequence[Place]) -> list[Code]:
    return [Code(place.entry.kind, place.entry.target) for place in places]


def _text(old: Blob, place: Place, limits: Limits) -> bytes:
    payload = open_payload(old, place.entry, limits)
    return payload.read_at(0, payload.size)


def rewrite_library(  # noqa: PLR0913, PLR0917 - what is known of one library
    old: FileBlob, path: str, plan: Plan, request: Request, made: Mapping[Unit, Made], into: Path
) -> LibraryChange:
    """Write the changed library to `into`. Raises what `write_library` raises."""
    regions = []
    changes = []
    for number, region in enumerate(plan.regions):
        new, change = _new_region(old, number, region, request, made)
        regions.append(new)
        changes.append(change)
    write_library(old, plan.library, plan.references, regions, into)
    with FileBlob.from_path(into) as new_blob:
        return LibraryChange(
            path,
            old.size,
            new_blob.size,
            sha256_of(old),
            sha256_of(new_blob),
            tuple(changes),
        )


def _new_region(
    old: FileBlob, number: int, region: OldRegion, request: Request, made: Mapping[Unit, Made]
) -> tuple[NewRegion, RegionChange]:
    codes = _codes(region.places)
    added = []
    for assembly, unit in region.made:
        result = made[unit]
        origin = region.places[assembly.ptx].entry
        entry = cubin_entry(result.path.read_bytes(), assembly.target, origin.compression)
        record = ObjectRecord(
            Kind.CUBIN, assembly.target.sm, len(entry), hashlib.sha256(entry).hexdigest()
        )
        codes.append(Code(Kind.CUBIN, assembly.target))
        added.append((entry, MadeRecord(record, unit.digest, unit.options, result.assembler)))
    stay = frozenset(range(len(codes)))
    if request.keep:
        stay = needed(codes, request.keep, keep_ptx=request.keep_ptx)
    count = len(region.places)
    kept = [place for at, place in enumerate(region.places) if at in stay]
    fresh = [one for at, one in enumerate(added, start=count) if at in stay]
    pieces = [Piece(place.start, place.end) for place in kept]
    pieces += [Piece(0, 0, entry) for entry, _ in fresh]
    marker = None
    if not pieces and region.places:
        entry = marker_entry(request.keep)
        pieces = [Piece(0, 0, entry)]
        marker = ObjectRecord(Kind.PTX, "", len(entry), hashlib.sha256(entry).hexdigest())
    change = RegionChange(
        number=number,
        kept=tuple(_record(old, place) for place in kept),
        dropped=tuple(
            _record(old, place) for at, place in enumerate(region.places) if at not in stay
        ),
        added=tuple(record for _, record in fresh),
        marker=marker,
    )
    return NewRegion(region.offset, tuple(pieces)), change


def _record(old: Blob, place: Place) -> ObjectRecord:
    entry = place.entry
    return ObjectRecord(
        entry.kind,
        _name(entry.kind, entry.target),
        place.end - place.start,
        sha256_between(old, place.start, place.end),
    )


def _name(kind: Kind, target: Target) -> str:
    return target.compute if kind is Kind.PTX else target.sm
