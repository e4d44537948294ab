"""Images whose blobs can be read in any order: layout folders, plain archives, registries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from builder.errors import DamagedInputError
from builder.inventory.images.choice import Documents, Image, Layer, choose_image
from builder.inventory.images.image import LayerStream
from builder.oci.documents import DOCUMENT_BYTES, Descriptor, parse_index
from builder.oci.fields import parse_document
from builder.oci.parts import verified


class BlobStore(Documents, Protocol):
    """Blobs by digest."""

    def roots(self) -> tuple[Descriptor, ...]:
        """Return what the store offers: manifests, or indexes of them."""

    def layer_parts(self, layer: Layer) -> Iterator[bytes]:
        """Yield a layer as stored, unverified. Raises `DamagedInputError` where it is missing."""

    def close(self) -> None:
        """Release files and connections."""


class StoredSource:
    """One image of a `BlobStore`."""

    def __init__(self, store: BlobStore, *, reference: str | None, platform: str | None) -> None:
        """Find the image. Raises as `choose_image` does."""
        self._store = store
        self._image = choose_image(store, store.roots(), reference=reference, platform=platform)

    def image(self) -> Image:
        return self._image

    def layers(self) -> Iterator[LayerStream]:
        for layer in self._image.layers:
            where = f"Layer {layer.key} in {self._store.where}"
            parts = verified(self._store.layer_parts(layer), layer.key, layer.size, where)
            yield LayerStream(layer.key, parts)

    def close(self) -> None:
        self._store.close()


def checked_document(data: bytes, descriptor: Descriptor, where: str) -> bytes:
    """Return `data` if it is what `descriptor` refers to; raise `DamagedInputError` if not."""
    check_document_size(descriptor, where)
    name = f"Blob {descriptor.digest} in {where}"
    return b"".join(verified([data], descriptor.digest, descriptor.size, name))


def check_document_size(descriptor: Descriptor, where: str) -> None:
    """Refuse a manifest or configuration that no registry would take."""
    if descriptor.size > DOCUMENT_BYTES:
        raise DamagedInputError(
            f"{where} refers to a manifest or configuration of {descriptor.size} bytes, "
            f"more than {DOCUMENT_BYTES}."
        )


def layout_roots(index: bytes, where: str) -> tuple[Descriptor, ...]:
    """Read the ``index.json`` of an OCI layout."""
    place = f"index.json in {where}"
    return parse_index(parse_document(index, place), place)
