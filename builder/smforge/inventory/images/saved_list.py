"""The list of images that ``docker save`` writes: ``manifest.json``.

Format: Docker's "Image JSON v1.2" ("Combined Image JSON + Filesystem Changeset Format"). Engines
since 25 write an OCI layout's ``index.json`` as well, and engines differ in which of the two they
load, so both must name the same images.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeGuard

from smforge.errors import DamagedInputError
from smforge.inventory.images.choice import Documents, familiar_name, images_of
from smforge.oci.documents import Descriptor, parse_contents
from smforge.oci.fields import parse_document

NAME = "manifest.json"
BLOB = re.compile(r"blobs/(sha256|sha512)/([0-9a-f]{64,128})")
"""The path of a blob in a layout."""


@dataclass(frozen=True, slots=True)
class SavedImage:
    """One row of the list; the paths are those within the archive."""

    configuration: str
    layers: tuple[str, ...]
    """Lowest first."""
    tags: tuple[str, ...]


def parse_saved_list(data: bytes, where: str) -> tuple[SavedImage, ...]:
    """Read a ``manifest.json``. Raises `DamagedInputError` for what is none."""
    place = f"{NAME} in {where}"
    # Wrapped, because the reader of documents takes objects only.
    items = parse_document(b'{"images":' + data + b"}", place).get("images")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise DamagedInputError(f"{place} is not a list of images.")
    return tuple(_saved_image(item, place) for item in items)


def check_saved_list(
    documents: Documents, roots: tuple[Descriptor, ...], data: bytes, where: str
) -> None:
    """Raise `DamagedInputError` where a ``manifest.json`` names other images than the index.

    It may name fewer: of several platforms it holds one. Configurations are compared; layers need
    not be, because a configuration holds the digests of its layers' content.
    """
    indexed = list(_configurations(documents, roots))
    known = {digest for digest, _ in indexed}
    names = {name for _, found in indexed for name in found}
    for image in parse_saved_list(data, where):
        blob = BLOB.fullmatch(image.configuration)
        digest = f"{blob[1]}:{blob[2]}" if blob else image.configuration
        called = {familiar_name(tag) for tag in image.tags} & names
        if digest in known and all((digest, name) in _pairs(indexed) for name in called):
            continue
        shown = " ".join((*image.tags[:1], digest))
        raise DamagedInputError(
            f"{where} contradicts itself: {NAME} names the image {shown[:200]}, "
            "and index.json does not. Engines differ in which of them they load.",
            remedy="Save the image again.",
        )


def _pairs(indexed: list[tuple[str, frozenset[str]]]) -> set[tuple[str, str]]:
    return {(digest, name) for digest, names in indexed for name in names}


def _configurations(
    documents: Documents, roots: tuple[Descriptor, ...]
) -> Iterator[tuple[str, frozenset[str]]]:
    """The configurations of all images that are there, with the names of each."""
    for root in roots:
        names = frozenset(familiar_name(name) for name in root.names)
        for leaf in images_of(documents, root):
            if documents.has(leaf.digest):
                where = f"{leaf.digest} in {documents.where}"
                manifest = parse_contents(parse_document(documents.document(leaf), where), where)
                yield manifest.configuration.digest, names


def _saved_image(item: dict[str, Any], place: str) -> SavedImage:
    path, layers, tags = item.get("Config"), item.get("Layers"), item.get("RepoTags") or []
    if not (isinstance(path, str) and _are_texts(layers) and _are_texts(tags)):
        raise DamagedInputError(f"{place} does not name a configuration and layers.")
    return SavedImage(path, tuple(layers), tuple(tags))


def _are_texts(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
