"""Proves that a rewritten library differs from the old one only by the intended change.

Everything is read again from the two files; only the list of intended changes comes from the
writer.
"""

from __future__ import annotations

import hashlib
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from smforge.arch.coverage import ptx_assembles_for
from smforge.arch.picking import cubins_in_question
from smforge.arch.target import ComputeCapability
from smforge.errors import DamagedInputError, SmforgeError
from smforge.inventory.digest import sha256_between
from smforge.inventory.formats import elf
from smforge.inventory.formats.blob import Blob, FileBlob, chunks
from smforge.inventory.records import CodeObject, FileInventory, Kind, Origin, Region
from smforge.rewrite.entries import entry_places
from smforge.rewrite.host_elf import SHF_ALLOC, HostElf, read_host_elf, references
from smforge.rewrite.library import region_places
from smforge.rewrite.records import LibraryChange, RegionChange

_WORD: Final = struct.Struct("<Q")
_LOAD: Final = (
    "import ctypes, sys\n"
    "try:\n    ctypes.CDLL(sys.argv[1])\n"
    "except OSError as error:\n    print(str(error).replace(sys.argv[1], 'LIBRARY'))\n"
)
_LINTERS: Final = (("readelf", "-lSdW"), ("eu-elflint", "--gnu-ld"))


class UnprovenError(SmforgeError):
    """A rewritten file is not what it should be; it was not kept."""

    exit_code = 4


def prove_library(old_path: Path, new_path: Path, change: LibraryChange) -> None:
    """Compare two libraries byte by byte, region by region and pointer by pointer.

    Raises `UnprovenError` at the first difference that is not part of the change.
    """
    with FileBlob.from_path(old_path) as old, FileBlob.from_path(new_path) as new:
        try:
            before, after = read_host_elf(old), read_host_elf(new)
            old_regions, new_regions = region_places(old, before), region_places(new, after)
            _prove_regions(new, after, new_regions, change.regions)
            _prove_sections(old, before, new, after)
            _prove_pointers(
                change.path,
                _pointed_at(old, before, old_regions),
                _pointed_at(new, after, new_regions),
            )
            _prove_segments(before, after)
        except DamagedInputError as error:
            raise UnprovenError(f"{change.path} cannot be read again: {error}") from error


def _prove_regions(
    new: Blob, after: HostElf, places: Sequence[int], changes: Sequence[RegionChange]
) -> None:
    if len(places) != len(changes):
        raise UnprovenError(f"There are {len(places)} regions instead of {len(changes)}.")
    section = after.section
    for start, change in zip(places, changes, strict=True):
        found = [
            sha256_between(new, one.start, one.end)
            for one in entry_places(new, start, section.offset + section.size)
        ]
        wanted = [one.sha256 for one in change.kept]
        wanted += [one.object.sha256 for one in change.added]
        wanted += [change.marker.sha256] if change.marker else []
        if found != wanted:
            raise UnprovenError(f"Region {change.number} does not hold the objects that it should.")


def _prove_sections(old: Blob, before: HostElf, new: Blob, after: HostElf) -> None:
    """Every section but the one of regions holds the same bytes, its pointers to regions aside."""
    if before.names != after.names:
        raise UnprovenError("The sections have other names than before.")
    pointers = {one.offset for one in references(old, before)}
    moved = {one.offset for one in references(new, after)}
    for number, (was, now) in enumerate(zip(before.sections, after.sections, strict=True)):
        if number == before.fatbin:
            continue
        if was._replace(offset=0) != now._replace(offset=0):
            raise UnprovenError(f"Section {before.names[number]!r} has another header than before.")
        if was.type in (0, elf.SHT_NOBITS) or not was.size:
            continue
        ours = {one - was.offset for one in pointers if was.offset <= one < was.offset + was.size}
        theirs = {one - now.offset for one in moved if now.offset <= one < now.offset + now.size}
        if ours != theirs:
            raise UnprovenError(f"Section {before.names[number]!r} has other pointers than before.")
        if _without(old, was.offset, was.size, ours) != _without(new, now.offset, now.size, ours):
            raise UnprovenError(f"Section {before.names[number]!r} holds other bytes than before.")


def _without(blob: Blob, start: int, size: int, words: Iterable[int]) -> str:
    """The SHA-256 of a range with some words left out."""
    digest = hashlib.sha256()
    position = 0
    for word in sorted(words):
        _feed(digest, blob, start + position, start + word)
        position = word + _WORD.size
    _feed(digest, blob, start + position, start + size)
    return digest.hexdigest()


def _pointed_at(blob: Blob, library: HostElf, places: Sequence[int]) -> list[tuple[str, int, int]]:
    """What every pointer to GPU code leads to: its kind, what it fills, and the region's number."""
    section = library.section
    numbers = {start - section.offset + section.address: at for at, start in enumerate(places)}
    ends = {section.address + section.size: -1}
    return sorted(
        (one.place, _address(library, one.fills), (numbers | ends).get(one.address, -2))
        for one in references(blob, library)
    )


def _address(library: HostElf, offset: int | None) -> int:
    """The address that a byte of the file is loaded to; -1 for none, so that rows can be sorted."""
    address = None if offset is None else library.address(offset)
    return -1 if address is None else address


def _prove_pointers(
    path: str,
    before: list[tuple[str, int, int]],
    after: list[tuple[str, int, int]],
) -> None:
    if before != after:
        raise UnprovenError(f"{path} registers other regions than before, or in another order.")


def _prove_segments(before: HostElf, after: HostElf) -> None:
    """Every loaded byte outside the regions keeps its address."""
    for number, row in enumerate(before.sections):
        if number == before.fatbin or row.type in (0, elf.SHT_NOBITS) or not row.size:
            continue
        if not row.flags & SHF_ALLOC:
            continue
        now = after.sections[number]
        if after.file_offset(row.address) != now.offset:
            raise UnprovenError(f"Section {before.names[number]!r} is loaded to another address.")


def launchable(region: Region, device: ComputeCapability) -> tuple[frozenset[str], frozenset[str]]:
    """The kernels of a region that a device runs for certain: from machine code, and from PTX."""
    cubins = [one for one in region.objects if one.kind is Kind.CUBIN]
    picked = cubins_in_question([one.target for one in cubins], device)
    if picked:
        return _common(one for one in cubins if one.target in picked), frozenset()
    texts = (
        one
        for one in region.objects
        if one.kind is Kind.PTX and ptx_assembles_for(one.target, device)
    )
    return frozenset(), _common(texts)


def _common(objects: Iterable[CodeObject]) -> frozenset[str]:
    names = [frozenset(one.kernels or ()) for one in objects]
    return frozenset.intersection(*names) if names else frozenset()


def prove_kernels(
    before: FileInventory, after: FileInventory, devices: Sequence[ComputeCapability]
) -> None:
    """Every kernel that a device ran before runs after, and not from PTX where it did not before.

    Raises `UnprovenError` with the first kernel that is lost.
    """
    for was, now in zip(_registered(before), _registered(after), strict=True):
        for device in devices:
            native, text = launchable(was, device)
            native_now, text_now = launchable(now, device)
            lost = (native - native_now) | (text - native_now - text_now)
            if lost:
                raise UnprovenError(
                    f"{after.path} would lose {len(lost)} kernels on {device}: {min(lost)}."
                )


def _registered(file: FileInventory) -> Iterator[Region]:
    return (one for one in file.regions if one.origin is Origin.FATBIN)


def lint(old: Path, new: Path) -> tuple[str, ...]:
    """Ask the host's ELF checkers about both files; return the names of those that were asked.

    Raises `UnprovenError` where one complains of the new file and not of the old one.
    """
    asked = []
    for name, flags in _LINTERS:
        if shutil.which(name) is None:
            continue
        before, after = (_complaints(name, flags, path) for path in (old, new))
        if after and not before:
            raise UnprovenError(f"{name} complains of {new.name}: {after[0]}")
        asked.append(name)
    return tuple(asked)


def _complaints(name: str, flags: str, path: Path) -> list[str]:
    done = subprocess.run((name, flags, str(path)), capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    if done.returncode and name != "readelf":
        return [one for one in lines if one.strip()] or ["it fails"]
    return [one for one in lines if "Warning" in one or "Error" in one]


def prove_loading(old: Path, new: Path) -> str:
    """Load both files, each in a process of its own, and return what happened to both.

    Raises `UnprovenError` where the new one behaves otherwise than the old one.
    """
    before, after = (_loaded(path) for path in (old, new))
    if before != after:
        raise UnprovenError(
            f"{new.name} does not load as the original does: {after or 'it loads'} "
            f"instead of {before or 'it loads'}"
        )
    return after or "it loads"


def _loaded(path: Path) -> str:
    done = subprocess.run(
        (sys.executable, "-c", _LOAD, str(path.resolve())),
        capture_output=True, text=True, timeout=600, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode:
        return f"the process ended with {done.returncode}"
    return done.stdout.strip()


def _feed(digest: hashlib._Hash, blob: Blob, start: int, end: int) -> None:
    for part in chunks(blob, start, end):
        digest.update(part)
