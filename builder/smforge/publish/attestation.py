"""Statements about an image, stored beside it as BuildKit stores provenance and SBOMs.

Formats: in-toto Statement v0.1; BuildKit's "Image attestation storage": a manifest whose layers are
statements, listed in the image's index with the digest of the image that they are about.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smforge.oci.documents import MANIFEST, Descriptor, parse_contents
from smforge.oci.fields import parse_document
from smforge.oci.layout import LayoutFolder, json_bytes
from smforge.publish.layouts import REFERENCE_DIGEST, Root, add_attestation, read_root

STATEMENT = "https://in-toto.io/Statement/v0.1"
SPDX = "https://spdx.dev/Document"
_CONFIGURATION = "application/vnd.oci.image.config.v1+json"
_IN_TOTO = "application/vnd.in-toto+json"
_PREDICATE_TYPE = "in-toto.io/predicate-type"


def attest(folder: Path, image: Descriptor, kind: str, predicate: Mapping[str, Any]) -> str:
    """Add the statement `predicate`, of the type `kind`, about an image of the layout.

    The result is the digest of the image's index. Raises as `read_root` does.
    """
    layout = LayoutFolder(folder)
    statement = {
        "_type": STATEMENT,
        "predicateType": kind,
        "subject": [{"name": name, "digest": _digest_set(image)} for name in _names(layout)],
        "predicate": predicate,
    }
    blob = layout.put(json_bytes(statement))
    configuration = {
        "architecture": "unknown",
        "os": "unknown",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [blob["digest"]]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": _CONFIGURATION, **layout.put(json_bytes(configuration))},
        "layers": [{"mediaType": _IN_TOTO, **blob, "annotations": {_PREDICATE_TYPE: kind}}],
    }
    return add_attestation(layout, read_root(layout), manifest, image.digest)


def attested(layout: LayoutFolder, root: Root, image: Descriptor) -> frozenset[str]:
    """The types of the statements that are there about an image."""
    return frozenset(
        statement.annotations.get(_PREDICATE_TYPE, "")
        for item in root.descriptors(layout.where)
        if item.annotations.get(REFERENCE_DIGEST) == image.digest
        for statement in parse_contents(
            parse_document(layout.document(item), item.digest), item.digest
        ).layers
    )


def _digest_set(image: Descriptor) -> dict[str, str]:
    algorithm, _, encoded = image.digest.partition(":")
    return {algorithm: encoded}


def _names(layout: LayoutFolder) -> tuple[str, ...]:
    """The name of the image; in-toto requires a name."""
    names = [name for root in layout.roots() if root.is_image for name in root.names]
    return tuple(names[:1]) or ("image",)
