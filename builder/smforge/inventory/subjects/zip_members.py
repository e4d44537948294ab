"""The members of a zip archive: wheels, jars, conda packages, and every other zip."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial

from smforge.errors import DamagedInputError
from smforge.inventory.formats.blob import HEAD_BYTES, Blob, BytesBlob
from smforge.inventory.formats.limits import Limits
from smforge.inventory.formats.zip_directory import (
    LOCAL_HEADER,
    LOCAL_MAGIC,
    ZipDirectory,
    ZipEntry,
    read_directory,
)
from smforge.inventory.formats.zip_stream import ZipReader
from smforge.inventory.records import Damage
from smforge.inventory.subjects.members import Member, spool

_IN_MEMORY = 16 << 20
"""Members up to this size are unpacked in memory, larger ones into an unlinked file."""
_SCRIPT = b"#!"


class ZipMembers:
    """Lists the members of one archive, and what keeps some of them from being read."""

    def __init__(self, blob: Blob, limits: Limits) -> None:
        self._blob = blob
        self._limits = limits
        self._zip = ZipReader(blob, limits)
        self.damage: list[Damage] = []
        """What was found so far; the paths are those within the archive."""

    def __iter__(self) -> Iterator[Member]:
        """Yield every member.

        Raises `DamagedInputError` where the directory does not account for the whole archive.
        """
        directory = read_directory(self._blob, self._limits)
        unpacked = sum(entry.size for entry in directory.entries)
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
