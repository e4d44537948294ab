"""Reads one file with cuobjdump, and makes of its listing what the native reader would."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from smforge.errors import DamagedInputError
from smforge.inventory.archives import ar
from smforge.inventory.cuobjdump.listing import CubinListing, FatbinListing
from smforge.inventory.cuobjdump.locate import Cuobjdump
from smforge.inventory.formats.blob import Blob, FileBlob, chunks
from smforge.inventory.formats.elf import MACHINE_CUDA, MAGIC, read_header
from smforge.inventory.options import ReadOptions
from smforge.inventory.records import CodeObject, Damage, FileInventory, Origin, Region
from smforge.inventory.sandbox import Bounds, Run, stream

_NO_CODE = "does not contain device code"
_INVALID = "Invalid ELF"
_REFUSED = 1


def read_file(
    tool: Cuobjdump, path: str, blob: Blob, options: ReadOptions, bounds: Bounds
) -> FileInventory | None:
    """Describe the GPU code of one file as cuobjdump sees it; None where it sees none.

    A listing that cuobjdump breaks off is no listing: what it had printed until then is dropped,
    and the file is recorded as damaged in cuobjdump's own words.
    """
    if _is_empty_archive(blob):
        return None  # cuobjdump takes it for a fatbin with an invalid header
    regions: tuple[Region, ...] = ()
    damage: tuple[Damage, ...] = ()
    with _descriptor(blob) as descriptor:
        try:
            if _is_cubin(blob):
                regions = _read_cubin(tool, descriptor, blob.size, options, bounds)
            else:
                regions = _read_fatbins(tool, descriptor, options, bounds)
        except DamagedInputError as error:
            damage = (Damage(path, str(error)),)
    if not regions and not damage:
        return None
    return FileInventory(path, blob.size, None, regions, damage=damage)


def _is_empty_archive(blob: Blob) -> bool:
    """Whether this is a static archive without members, as glibc 2.34 and newer leave libdl.a."""
    size = len(ar.MAGIC)
    return blob.size == size and blob.read_at(0, size) == ar.MAGIC


def _read_cubin(
    tool: Cuobjdump, descriptor: int, size: int, options: ReadOptions, bounds: Bounds
) -> tuple[Region, ...]:
    listing, run = _cubin_listing(tool, [["-elf", "-symbols"]], descriptor, bounds)
    if run.status == _REFUSED and _INVALID in run.stderr:
        # With -elf it refuses cubins of some releases that its other modes read.
        modes = [["-symbols"], ["--list-elf"]]
        second, last = _cubin_listing(tool, modes, descriptor, bounds)
        if last.status == 0:
            listing, run = second, last
    _check(run)
    return (Region(Origin.RAW, "", 0, (listing.code_object(size, names=options.names),)),)


def _cubin_listing(
    tool: Cuobjdump, modes: Iterable[Sequence[str]], descriptor: int, bounds: Bounds
) -> tuple[CubinListing, Run]:
    """Collect what cuobjdump prints in all of `modes`; the run is the first that failed, if any."""
    listing, run = CubinListing(), Run()
    for flags in modes:
        run = Run()
        for chunk in _listed(tool, flags, descriptor, run, bounds):
            listing.feed(chunk)
        if run.status:
            break
    return listing, run


def _read_fatbins(
    tool: Cuobjdump, descriptor: int, options: ReadOptions, bounds: Bounds
) -> tuple[Region, ...]:
    # Without either flag PTX is not listed; its text is what its kernels' names stand in.
    flags = ["-symbols", "-ptx"] if options.names else ["-symbols"]
    listing = FatbinListing(tells_families=tool.tells_families)
    run = Run()
    for chunk in _listed(tool, flags, descriptor, run, bounds):
        listing.feed(chunk)
    if run.status and _NO_CODE in run.stderr:
        return ()
    _check(run)
    return guess_regions(listing.objects(names=options.names))


def _listed(
    tool: Cuobjdump, flags: Sequence[str], descriptor: int, run: Run, bounds: Bounds
) -> Iterator[bytes]:
    # The file goes by its descriptor: nothing of an archive becomes a name or an argument.
    command = [str(tool.path), *flags, f"/proc/self/fd/{descriptor}"]
    return stream(command, run, bounds, (descriptor,))


def _check(run: Run) -> None:
    if run.status != 0:
        raise DamagedInputError(f"{run.explain()}.")


def guess_regions(listed: Iterable[tuple[str, CodeObject]]) -> tuple[Region, ...]:
    """Guess the regions from code objects in the order of the listing.

    cuobjdump does not show where a translation unit's fatbin ends. A unit embeds each target
    once, and its objects share kernels; so a target that stands there already begins another one,
    and so does an object that has kernels but none in common. Where neither tells two neighbours
    apart they become one, which the rule `regions-unknown` says.
    """
    regions: list[Region] = []
    group: list[CodeObject] = []
    place = ""
    for member, code in listed:
        if group and (member != place or not _belongs(code, group)):
            regions.append(Region(Origin.FATBIN, "", len(regions), tuple(group), None, place))
            group = []
        group.append(code)
        place = member
    if group:
        regions.append(Region(Origin.FATBIN, "", len(regions), tuple(group), None, place))
    return tuple(regions)


def _belongs(code: CodeObject, group: list[CodeObject]) -> bool:
    if any((code.kind, code.target) == (other.kind, other.target) for other in group):
        return False
    names = {name for other in group for name in other.kernels or ()}
    return not names or not code.kernels or not names.isdisjoint(code.kernels)


def check_sections(blob: Blob) -> None:
    """Refuse to believe "no device code" of an ELF file whose sections cuobjdump cannot find.

    It says so of truncated files and of files without section headers alike. Raises
    `DamagedInputError`.
    """
    if blob.size < len(MAGIC) or blob.read_at(0, len(MAGIC)) != MAGIC:
        return
    header = read_header(blob)
    table = header.sections_offset + header.section_count * header.section_size
    if not header.sections_offset or table > blob.size:
        raise DamagedInputError("cuobjdump finds no sections to look for device code in.")


def _is_cubin(blob: Blob) -> bool:
    if blob.size < 64 or blob.read_at(0, 4) != MAGIC:
        return False
    return read_header(blob).machine == MACHINE_CUDA


@contextmanager
def _descriptor(blob: Blob) -> Iterator[int]:
    """Give a descriptor of a file with the blob's bytes; it has no name where it is a copy."""
    if isinstance(blob, FileBlob):
        yield blob.fileno()
        return
    with tempfile.TemporaryFile(prefix="smforge-", buffering=0) as file:
        for part in chunks(blob, 0, blob.size):
            os.write(file.fileno(), part)
        yield file.fileno()
