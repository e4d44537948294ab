"""``archive:FILE``: what ``docker save`` or an OCI exporter wrote; plain, gzip or zstd."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from smforge.errors import DamagedInputError, LimitExceededError, UsageError
from smforge.files import open_regular
from smforge.inventory.archives.compression import inflated, is_compressed
from smforge.inventory.archives.part_reader import FileReader
from smforge.inventory.archives.tar import EntryType, entries
from smforge.inventory.formats.limits import Limits
from smforge.inventory.images import saved_list
from smforge.inventory.images.choice import Layer
from smforge.inventory.images.layer_changes import clean
from smforge.inventory.images.source import ImageSource
from smforge.inventory.images.store import StoredSource, layout_roots
from smforge.inventory.images.streamed import StreamedSource
from smforge.inventory.options import ReadOptions
from smforge.inventory.subjects.image import ImageSubject
from smforge.inventory.subjects.oci import split_reference
from smforge.oci.documents import DOCUMENT_BYTES, Descriptor, check_document_size, checked_document
from smforge.oci.parts import file_parts

_MAX_MEMBERS = 100_000


@dataclass(frozen=True, slots=True)
class _Range:
    """The position of a member's content in the archive."""

    start: int
    size: int


class ArchiveStore:
    """The blobs of an OCI layout in a plain tar file, which can be read in any order."""

    def __init__(self, descriptor: int, where: str) -> None:
        """Read the archive's headers, not its content. `close` closes the file descriptor."""
        self._fd = descriptor
        self.where = where
        self._members: dict[str, _Range] = {}
        reader = FileReader(descriptor, where)
        for count, entry in enumerate(entries(reader, where)):
            if count > _MAX_MEMBERS:
                raise LimitExceededError(f"{where} has more than {_MAX_MEMBERS} members.")
            if entry.type is EntryType.FILE:
                self._members[clean(entry.name)] = _Range(reader.position, entry.size)

    @property
    def is_layout(self) -> bool:
        """Whether this is an OCI layout; older engines wrote none."""
        return "index.json" in self._members

    def roots(self) -> tuple[Descriptor, ...]:
        roots = layout_roots(self._small("index.json"), self.where)
        if saved_list.NAME in self._members:
            listed = self._small(saved_list.NAME)
            saved_list.check_saved_list(self, roots, listed, self.where)
        return roots

    def has(self, digest: str) -> bool:
        return _path(digest) in self._members

    def document(self, descriptor: Descriptor) -> bytes:
        check_document_size(descriptor, self.where)
        place = self._place(descriptor.digest)
        if place.size != descriptor.size:
            raise DamagedInputError(
                f"Blob {descriptor.digest} in {self.where} has {place.size} bytes, "
                f"not {descriptor.size}."
            )
        return checked_document(b"".join(self._parts(place)), descriptor, self.where)

    def layer_parts(self, layer: Layer) -> Iterator[bytes]:
        return self._parts(self._place(layer.key))

    def close(self) -> None:
        os.close(self._fd)

    def _small(self, name: str) -> bytes:
        place = self._members[name]
        if place.size > DOCUMENT_BYTES:
            raise DamagedInputError(f"{name} in {self.where} exceeds {DOCUMENT_BYTES} bytes.")
        return b"".join(self._parts(place))

    def _place(self, digest: str) -> _Range:
        place = self._members.get(_path(digest))
        if place is None:
            raise DamagedInputError(
                f"{self.where} lacks the blob {digest}.", remedy="Save the image again."
            )
        return place

    def _parts(self, place: _Range) -> Iterator[bytes]:
        return file_parts(self._fd, place.start, place.start + place.size)


def _path(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


class _FileSource(StreamedSource):
    """An archive file that has to be read front to back."""

    def __init__(
        self, fd: int, where: str, limits: Limits, *, reference: str | None, platform: str | None
    ) -> None:
        self._fd = fd
        parts = inflated(file_parts(fd), limits, where)
        super().__init__(parts, where, limits, reference=reference, platform=platform)

    def close(self) -> None:
        os.close(self._fd)


def open_subject(argument: str, options: ReadOptions) -> ImageSubject:
    """Open ``FILE`` or ``FILE:REFERENCE``.

    A plain OCI archive is read at the places of the chosen image's blobs only; a compressed one,
    and one of an engine before 25, is read once from front to back. Raises `UsageError` when the
    file is not there or leaves several images, and `DamagedInputError` when it contradicts itself.
    """
    path, reference = split_reference(argument)
    try:
        fd = open_regular(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}).") from error
    try:
        source = _source(fd, str(path), options, reference)
    except BaseException:
        os.close(fd)
        raise
    return ImageSubject(source, argument, options.limits)


def _source(fd: int, where: str, options: ReadOptions, reference: str | None) -> ImageSource:
    platform = options.platform
    if not is_compressed(os.pread(fd, 6, 0)):
        store = ArchiveStore(fd, where)
        if store.is_layout:
            return StoredSource(store, reference=reference, platform=platform)
    return _FileSource(fd, where, options.limits, reference=reference, platform=platform)
