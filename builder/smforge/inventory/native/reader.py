"""Reads one file: finds its GPU code by content, and describes every code object of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from smforge.errors import DamagedInputError, LimitExceededError
from smforge.inventory.archives import ar
from smforge.inventory.formats import elf, pe
from smforge.inventory.formats.blob import HEAD_BYTES, Blob, BytesBlob, SliceBlob
from smforge.inventory.formats.fatbin import REGION_MAGIC
from smforge.inventory.native.damage_log import DamageLog
from smforge.inventory.native.host_text import HostText
from smforge.inventory.native.lone_variables import mark_variables
from smforge.inventory.native.promised import is_broken_member, is_misnamed
from smforge.inventory.native.region_finder import (
    Span,
    check_registered,
    elf_spans,
    raw_spans,
    windows_spans,
)
from smforge.inventory.native.regions import RegionReader
from smforge.inventory.native.registrations import (
    registering_section,
    registrations,
    windows_registrations,
)
from smforge.inventory.native.unregistered import mark_unregistered
from smforge.inventory.options import ReadOptions
from smforge.inventory.records import FileInventory, Origin, Region

if TYPE_CHECKING:
    from smforge.inventory.digest import Hashing


_AT_ONCE = 256 << 10
"""Bytes up to which one read of all costs less than several of parts."""


def may_hold_code(path: str, head: bytes) -> bool:
    """Tell from the first bytes (`HEAD_BYTES` of them) whether `read_file` would look further."""
    if head.startswith(elf.MAGIC):
        return elf.is_host_or_cubin(head) or elf.contradicts_itself(head)
    if head.startswith((ar.MAGIC, ar.THIN_MAGIC, REGION_MAGIC, pe.MAGIC)):
        return True
    if path.endswith(".ptx") or is_misnamed(path, head):
        return True
    from smforge.inventory.formats.ptx import looks_like_ptx  # noqa: PLC0415 - not for libraries

    return looks_like_ptx(head)


def read_file(path: str, blob: Blob, options: ReadOptions) -> FileInventory | None:
    """Describe the GPU code of one file; None where there is none and nothing is damaged.

    What cannot be read is recorded as `Damage` and the rest is still read: no content of a file
    makes this raise.
    """
    head = blob.read_at(0, min(HEAD_BYTES, blob.size))
    if not may_hold_code(path, head):
        return None
    if blob.size <= _AT_ONCE:
        blob = BytesBlob(blob.read_at(0, blob.size))
    reader = _FileReader(path, blob, options)
    try:
        reader.read(head)
        return reader.inventory()
    finally:
        reader.close()


class _FileReader:
    """The state of reading one file."""

    def __init__(self, path: str, blob: Blob, options: ReadOptions) -> None:
        self._path = path
        self._blob = blob
        self._options = options
        self._log = DamageLog(path, options.limits)
        self._region_reader = RegionReader(options, self._log)
        self._hashing: Hashing | None = None
        self._regions: list[Region] = []
        self._machine: str | None = None
        self._needed: tuple[str, ...] = ()
        self._unlinked: tuple[str, ...] = ()

    def read(self, head: bytes) -> None:
        """Fill in all that `inventory` gives."""
        try:
            self._dispatch(head)
        except DamagedInputError as error:
            self._log.give_up(error)

    def inventory(self) -> FileInventory | None:
        """Give what was found."""
        damage = self._log.damage
        if not self._regions and not damage:
            return None
        if self._options.digests:
            self._start_hashing()
        return FileInventory(
            path=self._path,
            size=self._blob.size,
            sha256=self._hashing.hexdigest() if self._hashing else None,
            regions=tuple(self._regions),
            needed=self._needed,
            machine=self._machine,
            damage=damage,
            unlinked=self._unlinked,
        )

    def close(self) -> None:
        """Leave the blob alone."""
        if self._hashing is not None:
            self._hashing.stop()

    def _dispatch(self, head: bytes) -> None:
        if head.startswith(ar.MAGIC):
            self._read_archive(self._blob, "", 0, 0)
        elif head.startswith(elf.MAGIC):
            self._read_elf(self._blob, "", 0)
        elif head.startswith(REGION_MAGIC):
            spans = list(raw_spans(self._blob, self._log))
            self._regions += self._read_spans(self._blob, spans)
        elif head.startswith(ar.THIN_MAGIC):
            message = "It is a thin archive, which names its members and does not hold them."
            raise DamagedInputError(message, remedy="Audit the object files, or what they become.")
        elif is_misnamed(self._path, head):
            raise DamagedInputError(
                "It is named like a library or GPU code, but its content is something else.",
                remedy="Copy or download it again.",
            )
        elif head.startswith(pe.MAGIC):
            self._read_windows_file()
        elif self._blob.size:
            from smforge.inventory.native.raw import read_ptx_file  # noqa: PLC0415 - not for libraries

            limits, names = self._options.limits, self._options.names
            found = read_ptx_file(self._path, self._blob, limits, names=names)
            self._regions.append(Region(Origin.RAW, "", 0, (found,)))

    def _read_archive(self, archive: Blob, folder: str, base: int, depth: int) -> None:
        """Read a static archive at byte `base` of the file, and archives within it."""
        if depth > self._options.limits.nesting:
            raise LimitExceededError(f"Archives are nested more than {depth - 1} deep.")
        for member in ar.members(archive):
            try:
                self._read_member(archive, member, folder, base, depth)
            except LimitExceededError:
                raise
            except DamagedInputError as error:
                self._log.record(error, base + member.offset)

    def _read_member(
        self, archive: Blob, member: ar.ArchiveMember, folder: str, base: int, depth: int
    ) -> None:
        self._log.check_time()
        blob = SliceBlob(archive, member.offset, member.size)
        head = blob.read_at(0, min(HEAD_BYTES, blob.size))
        name = folder + member.name
        if head.startswith(ar.MAGIC):
            self._read_archive(blob, f"{name}/", base + member.offset, depth + 1)
        elif head.startswith(elf.MAGIC):
            if elf.is_host_or_cubin(head) or elf.contradicts_itself(head):
                self._read_elf(blob, name, base + member.offset)
        elif is_broken_member(member.name, head):
            raise DamagedInputError(f"The member {name!r} of the archive is no object file.")

    def _read_elf(self, blob: Blob, member: str, base: int) -> None:
        header = elf.read_header(blob)
        if header.machine == elf.MACHINE_CUDA:
            from smforge.inventory.native.raw import read_raw_cubin  # noqa: PLC0415 - not for libraries

            found, source = read_raw_cubin(blob, header, names=self._options.names)
            self._regions.append(Region(Origin.RAW, "", base, (found,), source, member))
            return
        self._machine = self._machine or elf.MACHINES.get(header.machine)
        sections = elf.read_sections(blob, header)
        if header.type == elf.ET_REL and not sections:
            raise DamagedInputError("An object file has no section headers.")
        spans = list(elf_spans(blob, sections, self._log))
        check_time = self._log.check_time
        registered = registrations(blob, header, sections, check_time) if header.wide else None
        if not self._log.damage:
            check_registered(spans, registered or {}, registering_section(sections), self._log)
        self._read_host_code(blob, spans, registered, member, base)
        if self._regions and not member:
            self._needed = elf.read_needed(blob, header)
            if any(region.origin is Origin.RELOCATABLE for region in self._regions):
                from smforge.inventory.native.device_link import unlinked_units  # noqa: PLC0415 - rare

                self._unlinked = unlinked_units(blob, header)

    def _read_windows_file(self) -> None:
        file = pe.read_windows_file(self._blob)
        if file is None:
            return
        spans = list(windows_spans(self._blob, file, self._log))
        registered = windows_registrations(self._blob, file)
        if not self._log.damage:
            check_registered(spans, registered, None, self._log)
        self._machine = file.machine
        self._read_host_code(self._blob, spans, registered)

    def _read_host_code(
        self,
        blob: Blob,
        spans: list[Span],
        registered: Mapping[int, int] | None,
        member: str = "",
        base: int = 0,
    ) -> None:
        fatbins = [span for span in spans if span.origin is not Origin.DATA]
        regions = self._read_spans(blob, fatbins, member, base)
        if self._options.names and registered:
            host = HostText(blob, spans, self._log.check_time)
            begun = set(registered.values())
            regions = mark_unregistered(host, regions, begun)
            regions = mark_variables(host, regions, begun, self._options.limits)
        self._regions += _marked_as_loaded(regions, fatbins, registered)
        self._read_data(blob, [one for one in spans if one.origin is Origin.DATA], member, base)

    def _read_spans(
        self, blob: Blob, spans: list[Span], member: str = "", base: int = 0
    ) -> list[Region]:
        if spans and self._options.digests:
            self._start_hashing()
        return self._region_reader.read(blob, spans, member, base)

    def _read_data(self, blob: Blob, spans: list[Span], member: str, base: int) -> None:
        if not spans:
            return
        from smforge.inventory.native.raw import read_data  # noqa: PLC0415 - few libraries have any

        for span in spans:
            self._log.check_time()
            try:
                self._regions.append(read_data(blob, span, self._options, member, base))
            except LimitExceededError:
                raise
            except DamagedInputError as error:
                self._log.record(error, base + span.offset)

    def _start_hashing(self) -> None:
        if self._hashing is None:
            from smforge.inventory.digest import Hashing  # noqa: PLC0415 - OpenSSL loads slowly

            self._hashing = Hashing(self._blob)


def _marked_as_loaded(
    regions: list[Region], fatbins: list[Span], registered: Mapping[int, int] | None
) -> list[Region]:
    """Fill in `Region.loaded_by_program`, where the wrappers of a host file can be followed."""
    named = None if registered is None else set(registered.values())
    return [
        region._replace(loaded_by_program=named is not None and span.offset not in named)
        if region.origin is Origin.EMBEDDED
        else region
        for region, span in zip(regions, fatbins, strict=True)
    ]
