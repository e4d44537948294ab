"""The index of an image in its layout, and what is written next to the image.

BuildKit exports one root into ``index.json``: an image index where attestations accompany the
image, or else the bare manifest. This module always makes it an index, because an index can have
what is known only when the image is complete: annotations and further attestations. The image's own
manifest and configuration stay what was audited.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from smforge.errors import DamagedInputError, UsageError
from smforge.oci.documents import (
    ATTESTATION,
    INDEX,
    INDEX_TYPES,
    MANIFEST_TYPES,
    Descriptor,
    parse_descriptor,
    parse_index,
)
from smforge.oci.fields import list_of, mapping_of, parse_document
from smforge.oci.layout import LayoutFolder

REFERENCE_TYPE = "vnd.docker.reference.type"
REFERENCE_DIGEST = "vnd.docker.reference.digest"


@dataclass(frozen=True, slots=True)
class Root:
    """The one image of a layout."""

    position: int
    """Where ``index.json`` lists it."""
    entry: Mapping[str, Any]
    """Its descriptor there, as written."""
    index: Mapping[str, Any]
    """The image index; it is generated if the layout has a bare manifest."""

    @property
    def digest(self) -> str:
        return str(self.entry["digest"])

    def descriptors(self, where: str) -> tuple[Descriptor, ...]:
        """The descriptors in the index."""
        return parse_index(self.index, where)

    def images(self, where: str) -> tuple[Descriptor, ...]:
        """The images of the index, one per platform."""
        return tuple(item for item in self.descriptors(where) if item.is_image)


def read_root(layout: LayoutFolder) -> Root:
    """Find the image of a layout.

    Raises `UsageError` where the layout holds none or several, `DamagedInputError` where it
    contradicts itself.
    """
    where = f"index.json in {layout.where}"
    entries = list_of(layout.index().get("manifests"), where)
    found = [
        (position, mapping_of(entry, where), descriptor)
        for position, entry in enumerate(entries)
        if (descriptor := parse_descriptor(entry, where)).is_image
    ]
    if len(found) != 1:
        raise UsageError(f"{layout.where} holds {len(found)} images where one is published.")
    ((position, entry, descriptor),) = found
    document = parse_document(layout.document(descriptor), f"{descriptor.digest} in {layout.where}")
    if descriptor.media_type in MANIFEST_TYPES:
        return Root(position, entry, _index_of(entry))
    if descriptor.media_type in INDEX_TYPES:
        return Root(position, entry, document)
    raise DamagedInputError(
        f"{where} refers to {descriptor.digest} as {descriptor.media_type[:100]!r}, "
        "which is no image."
    )


def replace_root(layout: LayoutFolder, root: Root, index: Mapping[str, Any]) -> str:
    """Let the layout refer to `index` instead of `root`; the result is its digest."""
    document = layout.index()
    written = layout.put_document(index)
    # A platform belongs to a manifest; an index has several.
    kept = {key: value for key, value in root.entry.items() if key != "platform"}
    document["manifests"][root.position] = {**kept, **written}
    layout.replace_index(document)
    if root.entry["mediaType"] in INDEX_TYPES and root.digest != written["digest"]:
        layout.drop(root.digest)
    return str(written["digest"])


def annotate(folder: Path, annotations: Mapping[str, str]) -> str:
    """Add `annotations` to the index of the image in the layout; the result is its new digest.

    Raises as `read_root` does.
    """
    layout = LayoutFolder(folder)
    root = read_root(layout)
    merged = {**root.index.get("annotations", {}), **annotations}
    ordered = dict(sorted(merged.items()))
    return replace_root(layout, root, {**root.index, "annotations": ordered})


def annotate_images(folder: Path, annotations: Mapping[str, str]) -> str:
    """Add `annotations` to the index's references to its images; the result is its new digest.

    They stay with an image when its reference is taken over into another index.
    Raises as `read_root` does.
    """
    layout = LayoutFolder(folder)
    root = read_root(layout)
    images = {image.digest for image in root.images(layout.where)}
    manifests = [
        {**entry, "annotations": {**entry.get("annotations", {}), **annotations}}
        if entry["digest"] in images
        else entry
        for entry in root.index["manifests"]
    ]
    return replace_root(layout, root, {**root.index, "manifests": manifests})


def add_attestation(layout: LayoutFolder, root: Root, manifest: Mapping[str, Any], of: str) -> str:
    """List an attestation of the image `of` in the image's index, as BuildKit does.

    The result is the digest of the new index.
    """
    entry = {
        **layout.put_document(manifest),
        "annotations": {REFERENCE_DIGEST: of, REFERENCE_TYPE: ATTESTATION},
        "platform": {"architecture": "unknown", "os": "unknown"},
    }
    manifests = list(root.index["manifests"])
    if entry not in manifests:
        manifests.append(entry)
    return replace_root(layout, root, {**root.index, "manifests": manifests})


def _index_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An index with one manifest, without the annotations that name the image in its layout."""
    kept = {key: value for key, value in entry.items() if key != "annotations"}
    return {"schemaVersion": 2, "mediaType": INDEX, "manifests": [kept]}


def rfc3339(moment: datetime) -> str:
    """A moment in UTC as annotations and SPDX state it, to the second."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
