"""Finds the one image that was asked for among the manifests of a store."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from smforge.errors import DamagedInputError, UsageError
from smforge.inventory.images.configuration import (
    UNKNOWN_PLATFORM,
    Configured,
    normalised_platform,
    parse_configuration,
)
from smforge.oci.documents import (
    INDEX_TYPES,
    MANIFEST_TYPES,
    Descriptor,
    digest_of,
    parse_index,
    parse_manifest,
)
from smforge.oci.fields import parse_document

_MAX_NESTING = 4
"""Indexes within indexes; real images have two."""


class Documents(Protocol):
    """Where manifests and configurations are read from."""

    @property
    def where(self) -> str:
        """The name of the store in messages."""

    def has(self, digest: str) -> bool:
        """Whether the blob is there; a registry is assumed to have what it refers to."""

    def document(self, descriptor: Descriptor) -> bytes:
        """Return a small blob, verified. Raises `DamagedInputError` where it is not to be had."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of an image; `key` is its source's name for it."""

    key: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """One image for one platform, before any layer is read."""

    digest: str
    """SHA-256 of the manifest; of the configuration where the image has no manifest."""
    configured: Configured
    layers: tuple[Layer, ...]
    """Lowest first."""
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Candidate:
    descriptor: Descriptor
    names: tuple[str, ...]

    def __str__(self) -> str:
        what = self.descriptor.platform or self.descriptor.digest
        return " ".join((*self.names[:1], what))


def choose_image(
    documents: Documents,
    roots: tuple[Descriptor, ...],
    *,
    reference: str | None,
    platform: str | None,
) -> Image:
    """Return the image of `roots` that `reference` and `platform` leave.

    Raises `UsageError` when several are left, listing them, or none.
    """
    wanted = normalised_platform(platform) if platform else None
    named = [root for root in roots if reference is None or _is_called(root, reference)]
    candidates: dict[str, _Candidate] = {}
    seen: set[str] = set()
    for root in named:
        for leaf in _leaves(documents, root, _MAX_NESTING, seen):
            candidates.setdefault(leaf.digest, _Candidate(leaf, root.names))
    found = list(candidates.values())
    chosen = [item for item in found if _fits(documents, item, wanted)]
    # A store often holds the whole index of an image and the content for one platform.
    here = [item for item in chosen if documents.has(item.descriptor.digest)]
    if len(here) == 1:
        image = _image(documents, here[0])
        if wanted is not None:
            _check_platform(image, wanted, documents.where)
        return image
    if here:
        raise UsageError(
            f"{documents.where} holds several images: {_listed(here)}.",
            remedy="Choose one with --platform or by its name.",
        )
    if chosen:
        raise DamagedInputError(
            f"{documents.where} refers to {_listed(chosen)} but does not hold it.",
            remedy="Pull the image for that platform, or save it again.",
        )
    asked = " ".join(word for word in (reference, wanted) if word) or "any image"
    there = _listed(found) or ", ".join(name for root in roots for name in root.names[:1])
    raise UsageError(
        f"{documents.where} does not hold {asked}.",
        remedy=f"It holds {there}." if there else None,
    )


def _is_called(root: Descriptor, reference: str) -> bool:
    return root.digest == reference or any(
        familiar_name(name) == familiar_name(reference) for name in root.names
    )


def familiar_name(name: str) -> str:
    """Return a reference as the engine shows it: ``python:3.13`` for Docker Hub's own."""
    for prefix in ("docker.io/library/", "docker.io/"):
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name


def images_of(documents: Documents, root: Descriptor) -> Iterator[Descriptor]:
    """Yield the manifests of the images that `root` leads to, whether they are there or not."""
    return _leaves(documents, root, _MAX_NESTING, set())


def _leaves(
    documents: Documents, root: Descriptor, nesting: int, seen: set[str]
) -> Iterator[Descriptor]:
    if not root.is_image or root.digest in seen:
        return
    seen.add(root.digest)
    if root.media_type in MANIFEST_TYPES or not documents.has(root.digest):
        yield root
        return
    where = f"{root.digest} in {documents.where}"
    document = parse_document(documents.document(root), where)
    if root.media_type not in INDEX_TYPES and "manifests" not in document:
        yield root
        return
    if nesting == 0:
        raise DamagedInputError(f"{where} is an index within too many indexes.")
    for child in parse_index(document, where):
        yield from _leaves(documents, child, nesting - 1, seen)


def _fits(documents: Documents, item: _Candidate, wanted: str | None) -> bool:
    if wanted is None:
        return True
    platform = item.descriptor.platform
    if platform is None and documents.has(item.descriptor.digest):
        platform = _image(documents, item).configured.platform
    return platform == wanted


def _check_platform(image: Image, wanted: str, where: str) -> None:
    """Refuse an image whose own configuration contradicts the index that lists it for `wanted`.

    The index alone would let the libraries of another CPU pass for those of `wanted`.
    """
    found = image.configured.platform
    # Variants are left out by some builders, and an empty configuration contradicts nothing.
    if found == UNKNOWN_PLATFORM or all(map(operator.eq, found.split("/"), wanted.split("/"))):
        return
    raise DamagedInputError(
        f"{where} lists the image {image.digest} for {wanted}, and its configuration says {found}.",
        remedy="Build the image again; audit it without --platform to read it as it is.",
    )


def _image(documents: Documents, item: _Candidate) -> Image:
    where = f"{item.descriptor.digest} in {documents.where}"
    data = documents.document(item.descriptor)
    manifest = parse_manifest(parse_document(data, where), where)
    configuration = manifest.configuration
    where = f"The configuration {configuration.digest} in {documents.where}"
    configured = parse_configuration(
        parse_document(documents.document(configuration), where), configuration.digest, where
    )
    if len(configured.diff_ids) != len(manifest.layers):
        raise DamagedInputError(
            f"{where} is for {len(configured.diff_ids)} layers, but {len(manifest.layers)} follow."
        )
    layers = tuple(Layer(layer.digest, layer.size) for layer in manifest.layers)
    return Image(digest_of(data), configured, layers, item.names)


def _listed(items: list[_Candidate]) -> str:
    shown = ", ".join(str(item) for item in items[:20])
    return f"{shown} and {len(items) - 20} more" if len(items) > 20 else shown
