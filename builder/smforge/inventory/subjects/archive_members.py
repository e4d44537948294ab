"""The members of an archive of any form that is read: zip, tar, Debian packages, compressed files.

A compressed file holds a tar, or else one file. Links and devices of a tar are left out: a link
leads to a member that is read under its own name. A hard link that leads to none is damage, because
nothing can unpack it. Symbolic links may lead to another package.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial

from smforge.errors import DamagedInputError
from smforge.inventory.archives import ar, tar
from smforge.inventory.archives.archive_form import DEB, TAR, ZIP, Form, form_of
from smforge.inventory.archives.compression import inflated
from smforge.inventory.archives.part_reader import ByteReader
from smforge.inventory.archives.zip_directory import (
    LOCAL_HEADER,
    LOCAL_MAGIC,
    ZipDirectory,
    ZipEntry,
    read_directory,
)
from smforge.inventory.archives.zip_stream import ZipReader
from smforge.inventory.formats.blob import HEAD_BYTES, Blob, BytesBlob, SliceBlob, chunks
from smforge.inventory.formats.limits import Limits, UnpackingMeter
from smforge.inventory.images.layer_changes import clean
from smforge.inventory.native.reader import may_hold_code
from smforge.inventory.records import Damage
from smforge.inventory.subjects.members import Member, StreamedContent, path_text, spool, spool_all

_SUFFIXES = (".gz", ".bz2", ".xz", ".zst", ".zstd", ".tgz")
_AT_ONCE = 4 << 20
"""Bytes up to which one read of all costs less than a few for each member."""
_IN_MEMORY = 16 << 20
"""Members up to this size are unpacked in memory, larger ones into an unlinked file."""
_SCRIPT = b"#!"
_WHERE = "The archive"
"""Its name in messages; the caller adds its path."""


class ArchiveMembers:
    """Lists the members of one archive, and what keeps some of them from being read."""

    def __init__(
        self, blob: Blob, form: Form, path: str, limits: Limits, meter: UnpackingMeter
    ) -> None:
        """`path` is the archive's own; a compressed file has its name without the suffix."""
        self._meter = meter
        if blob.size <= _AT_ONCE:
            blob = BytesBlob(blob.read_at(0, blob.size))
        self._blob = blob
        self._form = form
        self._path = path
        self._limits = limits
        self._zip = ZipMembers(blob, limits) if form.name == ZIP else None
        self._damage: list[Damage] = []

    @property
    def damage(self) -> list[Damage]:
        """What was found so far; the paths are those within the archive."""
        return self._zip.damage if self._zip else self._damage

    @property
    def whole(self) -> int | None:
        """The bytes of all members; None where only the end of the archive shows them."""
        return self._zip.whole if self._zip else None

    def __iter__(self) -> Iterator[Member]:
        """Yield every file. Open each before the next is asked for.

        Raises `DamagedInputError` where the archive is not read, or not to its end.
        """
        if not self._form.read:
            raise DamagedInputError(
                f"It is a file of the form {self._form.name}, which is not read.",
                remedy="Unpack it and audit what it holds.",
            )
        if self._zip is not None:
            return self._counted(self._zip)
        if self._form.name == DEB:
            return self._counted(self._of_package())
        return self._of_stream()

    def _counted(self, members: Iterable[Member]) -> Iterator[Member]:
        for member in members:
            self._meter.add_entry(member.size)
            yield member

    def _of_package(self) -> Iterator[Member]:
        for member in ar.members(self._blob):
            part = SliceBlob(self._blob, member.offset, member.size)
            head = part.read_at(0, min(HEAD_BYTES, part.size))
            yield Member(member.name, part.size, _copying(part), head)

    def _of_stream(self) -> Iterator[Member]:
        parts = chunks(self._blob, 0, self._blob.size)
        content = self._meter.streamed(inflated(parts, self._limits, _WHERE))
        if self._form.name == TAR:
            return self._of_tar(content)
        head = b""
        first = []
        for part in content:
            first.append(part)
            head = (head + part)[:HEAD_BYTES]
            if len(head) == HEAD_BYTES:
                break
        whole = _chained(first, content)
        if tar.is_header(head):
            return self._of_tar(whole)
        return self._of_file(head, whole)

    def _of_tar(self, content: Iterator[bytes]) -> Iterator[Member]:
        reader = ByteReader(content, _WHERE)
        # Numbers instead of names, which may be long: a link has to name an entry before it.
        before: set[int] = set()
        for entry in tar.entries(reader, _WHERE):
            self._meter.add_entry()
            self._limits.check_member(entry.size, entry.name)
            name = path_text(clean(entry.name))
            if entry.type is tar.EntryType.HARDLINK:
                target = path_text(clean(entry.link))
                if hash(target) not in before and len(self._damage) < self._limits.damages:
                    message = f"It is a hard link to {target}, which does not stand before it."
                    self._damage.append(Damage(name, message))
            before.add(hash(name))
            if entry.type is tar.EntryType.FILE:
                yield StreamedContent(entry.size, reader, 0).member(name)

    def _of_file(self, head: bytes, content: Iterator[bytes]) -> Iterator[Member]:
        name = self._path.rpartition("/")[2]
        for suffix in _SUFFIXES:
            name = name.removesuffix(suffix)
        if not may_hold_code(name, head) and form_of(head) is None:
            # Most are texts; how long they are is not worth finding out.
            yield Member(name, len(head), lambda: nullcontext(BytesBlob(head)), head)
            return
        with spool_all(content) as blob:
            self._limits.check_member(blob.size, _WHERE)
            yield Member(name, blob.size, _copying(blob), head)


class ZipMembers:
    """Lists the members of one archive, and what keeps some of them from being read."""

    def __init__(self, blob: Blob, limits: Limits) -> None:
        self._blob = blob
        self._limits = limits
        self._zip = ZipReader(blob, limits)
        self.whole: int | None = None
        """The bytes of all members, once the first is listed."""
        self.damage: list[Damage] = []
        """What was found so far; the paths are those within the archive."""

    def __iter__(self) -> Iterator[Member]:
        """Yield every member.

        Raises `DamagedInputError` where the directory does not account for the whole archive.
        """
        directory = read_directory(self._blob, self._limits)
        self.whole = unpacked = sum(entry.size for entry in directory.entries)
        self._limits.check_expansion(self._blob.size, unpacked, "The archive")
        self._check_names(directory)
        end = self._first_line()
        for entry in directory.entries:
            self._check_gap(end, entry.offset)
            if entry.name.endswith("/"):
                if entry.size:
                    message = f"It has a folder's name, and holds {entry.size} bytes."
                    self.damage.append(Damage(entry.name, message, entry.offset))
                end = entry.offset + LOCAL_HEADER.size + entry.packed
                continue
            try:
                start, head = self._zip.look(entry, HEAD_BYTES)
            except DamagedInputError as error:
                self.damage.append(Damage(entry.name, str(error), entry.offset))
                end = entry.offset + LOCAL_HEADER.size + entry.packed
                continue
            end = start + entry.packed
            yield Member(entry.name, entry.size, partial(self._open, entry, start), head)
        self._check_gap(end, directory.start)

    def _open(self, entry: ZipEntry, start: int) -> AbstractContextManager[Blob]:
        if entry.size > _IN_MEMORY:
            return spool(self._zip.stream(entry, start), entry.size)
        return nullcontext(BytesBlob(b"".join(self._zip.stream(entry, start))))

    def _first_line(self) -> int:
        """Where members may begin: a Python program in a zip has a line of text in front."""
        line = self._blob.read_at(0, min(HEAD_BYTES, self._blob.size))
        return line.find(b"\n") + 1 if line.startswith(_SCRIPT) else 0

    def _check_names(self, directory: ZipDirectory) -> None:
        counts = Counter(entry.name for entry in directory.entries)
        for name, count in counts.items():
            if count > 1:
                message = f"The archive holds {count} members of this name."
                self.damage.append(Damage(name, message))

    def _check_gap(self, start: int, end: int) -> None:
        """Members that the directory does not list would be missing from the audit."""
        if end > start:
            gap = self._blob.read_at(start, min(end - start, _IN_MEMORY))
            if LOCAL_MAGIC in gap:
                raise DamagedInputError(
                    "The archive holds members that its directory does not list.",
                    remedy="Download it again.",
                )


def _copying(part: Blob) -> Callable[[], AbstractContextManager[Blob]]:
    """A function that opens a part of an archive after the archive is closed."""
    return lambda: spool(chunks(part, 0, part.size), part.size)


def _chained(first: list[bytes], rest: Iterator[bytes]) -> Iterator[bytes]:
    yield from first
    yield from rest
