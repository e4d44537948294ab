"""An image as a subject of the audit: its layers' files, and their final paths."""

from __future__ import annotations

from collections.abc import Iterator

from smforge.errors import DamagedInputError
from smforge.inventory.archives.compression import inflated
from smforge.inventory.archives.part_reader import ByteReader
from smforge.inventory.archives.tar import Entry, EntryType, entries
from smforge.inventory.formats.limits import Limits
from smforge.inventory.images.choice import familiar_name
from smforge.inventory.images.filesystem import FinalFiles
from smforge.inventory.images.layer_changes import LayerChanges
from smforge.inventory.images.source import ImageSource, LayerStream
from smforge.inventory.images.streams import read_ahead
from smforge.inventory.records import Subject, SubjectKind
from smforge.inventory.subjects.base import OpenSubject
from smforge.inventory.subjects.members import Member, StreamedContent, path_text


class ImageSubject(OpenSubject):
    """Yields the regular files of all layers, then tells which of them the image shows.

    An image with a damaged layer is not readable in part: it has no damage, it raises.

    Layers are read once, in the order in which they come. Files that an upper layer hides are read
    too, which is rare. In return the order does not matter, no file is kept on the host until the
    last layer is known, and hard links need no second reading.
    """

    def __init__(self, source: ImageSource, name: str, limits: Limits) -> None:
        self._source = source
        self._name = name
        self._limits = limits
        self._entries = 0
        self._unpacked = 0
        self._layers: dict[str, LayerChanges] = {}
        self._failures: dict[str, DamagedInputError] = {}
        self._files: FinalFiles | None = None
        self._paths: dict[int, tuple[str, ...]] = {}
        self._stored = 0

    @property
    def subject(self) -> Subject:
        image = self._source.image()
        return Subject(
            kind=SubjectKind.IMAGE,
            name=familiar_name(image.names[0]) if image.names else self._name,
            digest=image.digest,
            platform=image.configured.platform,
            configuration=image.configured.configuration,
        )

    def members(self) -> Iterator[Member]:
        for layer in self._source.layers():
            if layer.key in self._layers:
                continue
            try:
                yield from self._members_of(layer)
            except DamagedInputError as error:
                if layer.certain:
                    raise
                self._failures[layer.key] = error
        self._settle()

    def paths_of(self, member: Member) -> tuple[str, ...]:
        return self._paths.get(member.serial, ())

    def resolve(self, path: str) -> str | None:
        """Return where `path` leads in the image, links followed; None where links go in circles.

        Ask after the last member.
        """
        return self._files.resolve(path) if self._files else None

    def stored(self) -> tuple[int, int | None] | None:
        return self._stored, self._source.stored_bytes()

    def _counted(self, parts: Iterator[bytes]) -> Iterator[bytes]:
        for part in parts:
            self._stored += len(part)
            yield part

    def close(self) -> None:
        self._source.close()

    def _members_of(self, layer: LayerStream) -> Iterator[Member]:
        where = f"Layer {layer.key}"
        changes = LayerChanges(where)
        with (
            read_ahead(self._counted(layer.parts)) as stored,
            read_ahead(inflated(stored, self._limits, where)) as parts,
        ):
            reader = ByteReader(parts, where)
            for entry in entries(reader, where):
                path = changes.path_of(entry)
                self._count(entry, path)
                serial = None
                if entry.type is EntryType.FILE:
                    content = StreamedContent(entry.size, reader, self._entries)
                    yield content.member(path_text(path))
                    serial = content.serial if content.was_read else None
                changes.add(entry, path, serial)
        changes.close()
        self._layers[layer.key] = changes

    def _count(self, entry: Entry, path: str) -> None:
        self._entries += 1
        self._limits.check_members(self._entries, "The image")
        self._limits.check_member(entry.size, path)
        self._unpacked += entry.size
        self._limits.check_expansion(self._unpacked, self._unpacked, "The image")

    def _settle(self) -> None:
        files = FinalFiles()
        for layer in self._source.image().layers:
            if layer.key in self._failures:
                raise self._failures[layer.key]
            changes = self._layers.get(layer.key)
            if changes is None:
                raise DamagedInputError(
                    f"Layer {layer.key} of the image is missing.",
                    remedy="Pull the image again, or save it again.",
                )
            files.apply(changes)
        self._layers = {}
        self._files = files
        self._paths = files.paths()
