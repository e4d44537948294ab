"""A wheel, or any other zip archive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from types import TracebackType
from typing import Self

from smforge.arch.platforms import PLATFORMS
from smforge.errors import DamagedInputError
from smforge.inventory.digest import Hashing
from smforge.inventory.formats.blob import Blob, BytesBlob, OwnedBlob
from smforge.inventory.formats.limits import Limits
from smforge.inventory.formats.zip_directory import (
    LOCAL_HEADER,
    LOCAL_MAGIC,
    ZipDirectory,
    ZipEntry,
    read_directory,
)
from smforge.inventory.formats.zip_stream import ZipReader
from smforge.inventory.records import Damage, Subject, SubjectKind
from smforge.inventory.subjects.members import HEAD_BYTES, Member, spool

_IN_MEMORY = 16 << 20
"""Members up to this size are unpacked in memory, larger ones into an unlinked file."""


class WheelSubject:
    """A wheel that is being read."""

    def __init__(self, name: str, blob: OwnedBlob, limits: Limits, *, digests: bool) -> None:
        """Take over `blob`; `digests` asks for the SHA-256 of the whole archive."""
        self._name = name
        self._blob = blob
        self._limits = limits
        self._zip = ZipReader(blob, limits)
        self._hashing = Hashing(blob) if digests else None
        self._damage: list[Damage] = []

    @property
    def subject(self) -> Subject:
        digest = f"sha256:{self._hashing.hexdigest()}" if self._hashing else None
        return Subject(SubjectKind.WHEEL, self._name, digest, wheel_platform(self._name))

    @property
    def damage(self) -> tuple[Damage, ...]:
        return tuple(self._damage)

    def members(self) -> Iterator[Member]:
        """Yield every member. What the directory does not list is damage of the archive."""
        directory = self._directory()
        unpacked = sum(entry.size for entry in directory.entries)
        self._limits.check_expansion(self._blob.size, unpacked, self._name)
        self._check_names(directory)
        end = 0
        for entry in directory.entries:
            self._check_gap(end, entry.offset)
            if entry.name.endswith("/"):
                if entry.size:
                    message = f"It has a folder's name, and holds {entry.size} bytes."
                    self._damage.append(Damage(entry.name, message, entry.offset))
                end = entry.offset + LOCAL_HEADER.size + entry.packed
                continue
            try:
                start, head = self._zip.look(entry, HEAD_BYTES)
            except DamagedInputError as error:
                self._damage.append(Damage(entry.name, str(error), entry.offset))
                end = entry.offset + LOCAL_HEADER.size + entry.packed
                continue
            end = start + entry.packed
            yield Member(entry.name, entry.size, partial(self._open, entry, start), head)
        self._check_gap(end, directory.start)

    def paths_of(self, member: Member) -> tuple[str, ...]:
        return (member.path,)

    def resolve(self, path: str) -> str | None:
        return path

    def _open(self, entry: ZipEntry, start: int) -> AbstractContextManager[Blob]:
        if entry.size > _IN_MEMORY:
            return spool(self._zip.stream(entry, start), entry.size)
        return nullcontext(BytesBlob(b"".join(self._zip.stream(entry, start))))

    def _directory(self) -> ZipDirectory:
        try:
            return read_directory(self._blob, self._limits)
        except DamagedInputError as error:
            raise type(error)(f"{self._name}: {error.message}", remedy=error.remedy) from error

    def _check_names(self, directory: ZipDirectory) -> None:
        counts = Counter(entry.name for entry in directory.entries)
        for name, count in counts.items():
            if count > 1:
                message = f"The archive holds {count} members of this name."
                self._damage.append(Damage(name, message))

    def _check_gap(self, start: int, end: int) -> None:
        """Members that the directory does not list would be missing from the audit."""
        if end > start:
            gap = self._blob.read_at(start, min(end - start, _IN_MEMORY))
            if LOCAL_MAGIC in gap:
                raise DamagedInputError(
                    f"{self._name} holds members that its directory does not list.",
                    remedy="Download it again.",
                )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._hashing is not None:
            self._hashing.stop()
        self._blob.close()


def wheel_platform(name: str) -> str | None:
    """Read the platform from a wheel's name: ``…-manylinux_2_28_x86_64.whl`` is linux/amd64."""
    tag = name.removesuffix(".whl").rsplit("-", 1)[-1]
    if "linux" not in tag:
        return None
    return next((value for cpu, value in PLATFORMS.items() if tag.endswith(cpu)), None)
