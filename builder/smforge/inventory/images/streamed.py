"""Images in an archive that is read once, front to back: from the engine, or compressed.

Such an archive describes its images at its end, so every blob that may be a layer is read as one;
blobs that turn out not to belong to the image are forgotten, their faults included.

Layouts: the OCI image-spec's "Image Layout", and Docker's own "Image JSON v1.2", whose
``manifest.json`` names a configuration and layers by path. Engines since 25 write both.
"""

from __future__ import annotations

import hashlib
import itertools
import posixpath
from collections.abc import Iterable, Iterator

from smforge.errors import DamagedInputError, LimitExceededError, UsageError
from smforge.inventory.archives.compression import inflated
from smforge.inventory.archives.part_reader import ByteReader
from smforge.inventory.archives.tar import Entry, EntryType, entries
from smforge.inventory.formats.limits import Limits
from smforge.inventory.images import saved_list
from smforge.inventory.images.choice import Image, Layer, choose_image, familiar_name
from smforge.inventory.images.configuration import normalised_platform, parse_configuration
from smforge.inventory.images.layer_changes import clean
from smforge.inventory.images.saved_list import BLOB, SavedImage
from smforge.inventory.images.source import LayerStream
from smforge.inventory.images.store import layout_roots
from smforge.oci.documents import DOCUMENT_BYTES, Descriptor, checked_document, digest_of
from smforge.oci.fields import parse_document
from smforge.oci.parts import verified

_ALL_DOCUMENTS_BYTES = 64 << 20
_MAX_MEMBERS = 100_000
"""Members of the outer archive; an image has a few per layer."""


class StreamedSource:
    """One image of an archive that is read once."""

    def __init__(
        self,
        parts: Iterable[bytes],
        where: str,
        limits: Limits,
        *,
        reference: str | None,
        platform: str | None,
    ) -> None:
        """`parts` is the uncompressed archive; `where` names it in messages."""
        self.where = where
        self._reader = ByteReader(parts, where)
        self._limits = limits
        self._reference = reference
        self._platform = platform
        self._documents: dict[str, bytes] = {}
        self._documents_bytes = 0
        self._links: dict[str, str] = {}
        self._blobs: set[str] = set()
        self._diff_ids: dict[str, str] = {}
        self._image: Image | None = None

    def layers(self) -> Iterator[LayerStream]:
        for count, entry in enumerate(entries(self._reader, self.where)):
            if count > _MAX_MEMBERS:
                raise LimitExceededError(f"{self.where} has more than {_MAX_MEMBERS} members.")
            name = clean(entry.name)
            if entry.type is EntryType.SYMLINK:
                self._links[name] = clean(posixpath.join(posixpath.dirname(name), entry.link))
            elif entry.type is EntryType.HARDLINK:
                self._links[name] = clean(entry.link)
            elif entry.type is EntryType.FILE:
                yield from self._blob(name, entry)
        self._image = self._described()

    def stored_bytes(self) -> int | None:
        """A stream does not say in advance how long it is."""
        return None

    def image(self) -> Image:
        if self._image is None:
            raise ValueError("the archive has not been read to its end")
        return self._image

    def close(self) -> None:
        """Do nothing: the maker of the stream closes it."""

    # The members up to `document` implement `choice.Documents`.

    def has(self, digest: str) -> bool:
        return digest in self._blobs

    def document(self, descriptor: Descriptor) -> bytes:
        data = self._documents.get("blobs/" + descriptor.digest.replace(":", "/"))
        if data is None:
            raise DamagedInputError(f"{self.where} lacks the blob {descriptor.digest}.")
        return checked_document(data, descriptor, self.where)

    def _blob(self, name: str, entry: Entry) -> Iterator[LayerStream]:
        head = self._reader.take(min(entry.size, 512))
        content = itertools.chain([head], self._reader.exactly(entry.size - len(head)))
        blob = BLOB.fullmatch(name)
        if blob:
            self._blobs.add(f"{blob[1]}:{blob[2]}")
        if _looks_like_json(head) and entry.size <= DOCUMENT_BYTES:
            self._documents_bytes += entry.size
            if self._documents_bytes > _ALL_DOCUMENTS_BYTES:
                raise LimitExceededError(f"{self.where} has too many bytes of JSON documents.")
            self._documents[name] = b"".join(content)
        elif blob:
            digest = f"{blob[1]}:{blob[2]}"
            where = f"Layer {digest} in {self.where}"
            parts = verified(content, digest, entry.size, where)
            yield LayerStream(digest, parts, certain=False)
        else:
            parts = self._unnamed(inflated(content, self._limits, name), name)
            yield LayerStream(name, parts, certain=False)

    def _unnamed(self, parts: Iterator[bytes], name: str) -> Iterator[bytes]:
        """Hash what unpacks from a layer that is stored under a path, not a digest."""
        state = hashlib.sha256()
        for part in parts:
            state.update(part)
            yield part
        self._diff_ids[name] = f"sha256:{state.hexdigest()}"

    def _described(self) -> Image:
        index = self._documents.get("index.json")
        listed = self._documents.get(saved_list.NAME)
        if index is not None:
            roots = layout_roots(index, self.where)
            if listed is not None:
                saved_list.check_saved_list(self, roots, listed, self.where)
            return choose_image(self, roots, reference=self._reference, platform=self._platform)
        if listed is not None:
            return self._described_by_paths(listed)
        raise DamagedInputError(
            f"{self.where} has neither index.json nor manifest.json: it is no saved image, "
            "or it was cut off."
        )

    def _described_by_paths(self, listed: bytes) -> Image:
        saved = saved_list.parse_saved_list(listed, self.where)
        images = {image.digest: image for image in map(self._by_paths, saved)}
        wanted = normalised_platform(self._platform) if self._platform else None
        chosen = [
            image
            for image in images.values()
            if (wanted is None or image.configured.platform == wanted)
            and (self._reference is None or _is_called(image, self._reference))
        ]
        if len(chosen) == 1:
            self._check_diff_ids(chosen[0])
            return chosen[0]
        shown = ", ".join(" ".join((*image.names[:1], image.digest)) for image in images.values())
        if chosen:
            raise UsageError(
                f"{self.where} holds several images: {shown}.", remedy="Choose one by its name."
            )
        raise UsageError(f"{self.where} does not hold the image asked for, but {shown or 'none'}.")

    def _by_paths(self, saved: SavedImage) -> Image:
        path = saved.configuration
        data = self._documents.get(self._stored(path))
        if data is None:
            raise DamagedInputError(f"{self.where} lacks the configuration {path}.")
        digest = digest_of(data)
        configured = parse_configuration(parse_document(data, path), digest, path)
        if len(configured.diff_ids) != len(saved.layers):
            raise DamagedInputError(
                f"{path} in {self.where} is for {len(configured.diff_ids)} layers, "
                f"but {len(saved.layers)} are listed."
            )
        stored = tuple(Layer(self._stored(layer)) for layer in saved.layers)
        return Image(digest, configured, stored, saved.tags)

    def _stored(self, path: str) -> str:
        """Return the path under which the archive has the content of `path`."""
        path = clean(path)
        for _ in range(8):
            if path not in self._links:
                break
            path = self._links[path]
        blob = BLOB.fullmatch(path)
        return f"{blob[1]}:{blob[2]}" if blob and path not in self._documents else path

    def _check_diff_ids(self, image: Image) -> None:
        for layer, diff_id in zip(image.layers, image.configured.diff_ids, strict=True):
            found = self._diff_ids.get(layer.key)
            # The reader of the layers reports one that failed or is missing.
            if found is not None and found != diff_id:
                raise DamagedInputError(
                    f"Layer {layer.key} in {self.where} unpacks to {found}, "
                    f"not to the {diff_id} of the image's configuration.",
                    remedy="It was damaged in transfer or on disk: save the image again.",
                )


def _looks_like_json(head: bytes) -> bool:
    # A layer's first member may well be called "{…}".
    return head.lstrip()[:1] in {b"{", b"["} and head[257:262] != b"ustar"


def _is_called(image: Image, reference: str) -> bool:
    names = {familiar_name(name) for name in image.names}
    return familiar_name(reference) in names or reference == image.digest
