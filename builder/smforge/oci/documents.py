"""The documents that lead to an image: descriptors, indexes and manifests.

Formats: OCI image-spec 1.1 ("Content Descriptors", "Image Index", "Image Manifest") and Docker's
"Image Manifest Version 2, Schema 2", which has the same fields.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from smforge.errors import DamagedInputError, UsageError
from smforge.oci.fields import list_of, mapping_of, platform_of, text_of, texts_of
from smforge.oci.parts import verified

DOCUMENT_BYTES = 16 << 20
"""The largest manifest, index or configuration that is read; registries allow 4 MiB."""

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPES = (INDEX, "application/vnd.docker.distribution.manifest.list.v2+json")
MANIFEST_TYPES = (MANIFEST, "application/vnd.docker.distribution.manifest.v2+json")
_CONFIGURATION_TYPES = (
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
)
ATTESTATION = "attestation-manifest"
"""What BuildKit calls provenance and SBOMs in ``vnd.docker.reference.type``."""
_MAX_LAYERS = 1024
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A reference to a blob by its digest."""

    digest: str
    size: int
    media_type: str = ""
    platform: str | None = None
    """``linux/amd64``, where the reference says so."""
    artifact_type: str = ""
    """The type of an artefact that is no image, if the reference states it."""
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The name of the image, in the annotations of containerd, BuildKit and skopeo."""
        keys = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
        return tuple(self.annotations[key] for key in keys if key in self.annotations)

    @property
    def is_attestation(self) -> bool:
        """Whether this is BuildKit's provenance or SBOM, stored beside images as if it were one."""
        kind = self.annotations.get("vnd.docker.reference.type")
        return kind == ATTESTATION or self.platform == "unknown/unknown"

    @property
    def is_image(self) -> bool:
        """Whether it may refer to an image: it is neither an attestation nor another artefact."""
        return not self.is_attestation and not self.artifact_type


@dataclass(frozen=True, slots=True)
class Manifest:
    """One image for one platform."""

    configuration: Descriptor
    layers: tuple[Descriptor, ...]
    """Lowest first."""


def parse_index(document: Mapping[str, Any], where: str) -> tuple[Descriptor, ...]:
    """Return the descriptors of an image index, attestations included."""
    _check_kind(document, where)
    return tuple(
        parse_descriptor(item, where) for item in list_of(document.get("manifests"), where)
    )


def parse_manifest(document: Mapping[str, Any], where: str) -> Manifest:
    """Read an image manifest. Raises `UsageError` for an artefact that is no container image."""
    manifest = parse_contents(document, where)
    if manifest.configuration.media_type not in _CONFIGURATION_TYPES:
        raise UsageError(
            f"{where} is not a container image: "
            f"its configuration is of type {manifest.configuration.media_type[:100]!r}."
        )
    return manifest


def parse_contents(document: Mapping[str, Any], where: str) -> Manifest:
    """Read the manifest of an image or of any other artefact."""
    if document.get("schemaVersion") == 1:
        raise DamagedInputError(
            f"{where} is a Docker schema 1 manifest, which carries no reliable digests.",
            remedy="Push the image again with a current engine.",
        )
    _check_kind(document, where)
    configuration = parse_descriptor(document.get("config"), where)
    layers = list_of(document.get("layers"), where)
    if len(layers) > _MAX_LAYERS:
        raise DamagedInputError(f"{where} has {len(layers)} layers, more than {_MAX_LAYERS}.")
    return Manifest(configuration, tuple(parse_descriptor(layer, where) for layer in layers))


def _check_kind(document: Mapping[str, Any], where: str) -> None:
    """Refuse what is both an index and a manifest: readers differ in what they take it for.

    Source: OCI image-spec 1.0.2, "Ambiguous document" (CVE-2021-41190).
    """
    if "manifests" in document and ("config" in document or "layers" in document):
        raise DamagedInputError(f"{where} is an index and a manifest at once.")


def parse_descriptor(item: object, where: str) -> Descriptor:
    """Read a descriptor. Raises `DamagedInputError` for one without a digest or a size."""
    fields = mapping_of(item, where)
    size = fields.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise DamagedInputError(f"{where} refers to a blob of {str(size)[:40]} bytes.")
    return Descriptor(
        digest=check_digest(text_of(fields.get("digest"), where), where),
        size=size,
        media_type=text_of(fields.get("mediaType"), where),
        platform=platform_of(mapping_of(fields.get("platform") or {}, where), where),
        artifact_type=text_of(fields.get("artifactType"), where),
        annotations=texts_of(fields.get("annotations"), where),
    )


def check_digest(digest: str, where: str) -> str:
    """Return `digest` if it is a sha256 or sha512 digest; raise `DamagedInputError` if not."""
    if not _DIGEST.fullmatch(digest):
        raise DamagedInputError(f"{where} refers to a blob as {digest[:100]!r}, not by a digest.")
    return digest


def digest_of(data: bytes) -> str:
    """Return the sha256 digest of `data`, as descriptors write it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


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
