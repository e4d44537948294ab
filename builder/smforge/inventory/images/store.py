"""Images whose blobs can be read in any order: layout folders, plain archives, registries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from smforge.inventory.images.choice import Documents, Image, Layer, choose_image
from smforge.inventory.images.source import LayerStream
from smforge.oci.documents import Descriptor, parse_index
from smforge.oci.fields import parse_document
from smforge.oci.parts import verified


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

    def stored_bytes(self) -> int | None:
        sizes = [layer.size for layer in self._image.layers]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None

    def close(self) -> None:
        self._store.close()


def layout_roots(index: bytes, where: str) -> tuple[Descriptor, ...]:
    """Read the ``index.json`` of an OCI layout."""
    place = f"index.json in {where}"
    return parse_index(parse_document(index, place), place)
