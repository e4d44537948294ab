"""The documents that describe an image: descriptors, indexes, manifests and configurations.

Formats: OCI image-spec 1.1 ("Content Descriptors", "Image Index", "Image Manifest", "Image
Configuration") and Docker's "Image Manifest Version 2, Schema 2", which has the same fields.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from builder.errors import DamagedInputError, UsageError
from builder.inventory.images.streams import check_digest
from builder.inventory.records import ImageConfiguration

DOCUMENT_BYTES = 16 << 20
"""The largest manifest, index or configuration that is read; registries allow 4 MiB."""

INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_CONFIGURATION_TYPES = (
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
)
_MAX_LAYERS = 1024
_PLATFORM = re.compile(r"[a-z0-9]+/[a-z0-9_]+(/[a-z0-9]+)?")


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A reference to a blob by its digest."""

    digest: str
    size: int
    media_type: str = ""
    platform: str | None = None
    """``linux/amd64``, where the reference says so."""
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """What the image is called, in the annotations of containerd, BuildKit and skopeo."""
        keys = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
        return tuple(self.annotations[key] for key in keys if key in self.annotations)

    @property
    def is_attestation(self) -> bool:
        """Whether this is BuildKit's provenance or SBOM, stored beside images as if it were one."""
        kind = self.annotations.get("vnd.docker.reference.type")
        return kind == "attestation-manifest" or self.platform == "unknown/unknown"


@dataclass(frozen=True, slots=True)
class Manifest:
    """One image for one platform."""

    configuration: Descriptor
    layers: tuple[Descriptor, ...]
    """Lowest first."""


@dataclass(frozen=True, slots=True)
class Configured:
    """What an image's configuration says."""

    configuration: ImageConfiguration
    platform: str
    diff_ids: tuple[str, ...]
    """Digests of the uncompressed layers, lowest first."""


def parse_document(data: bytes, where: str) -> dict[str, Any]:
    """Read a JSON object. Raises `DamagedInputError` for anything else."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DamagedInputError(f"{where} is not readable JSON: {error}.") from error
    return _mapping(document, where)


def parse_index(document: Mapping[str, Any], where: str) -> tuple[Descriptor, ...]:
    """Return what an image index refers to, attestations included."""
    return tuple(_descriptor(item, where) for item in _list(document.get("manifests"), where))


def parse_manifest(document: Mapping[str, Any], where: str) -> Manifest:
    """Read an image manifest. Raises `UsageError` for an artefact that is no container image."""
    if document.get("schemaVersion") == 1:
        raise DamagedInputError(
            f"{where} is a Docker schema 1 manifest, which carries no reliable digests.",
            remedy="Push the image again with a current engine.",
        )
    configuration = _descriptor(document.get("config"), where)
    if configuration.media_type not in _CONFIGURATION_TYPES:
        raise UsageError(
            f"{where} is not a container image: "
            f"its configuration is of type {configuration.media_type[:100]!r}."
        )
    layers = _list(document.get("layers"), where)
    if len(layers) > _MAX_LAYERS:
        raise DamagedInputError(f"{where} has {len(layers)} layers, more than {_MAX_LAYERS}.")
    return Manifest(configuration, tuple(_descriptor(layer, where) for layer in layers))


def parse_configuration(document: Mapping[str, Any], digest: str, where: str) -> Configured:
    """Read an image configuration with the digest `digest`."""
    inner = _mapping(document.get("config") or {}, where)
    root = _mapping(document.get("rootfs") or {}, where)
    diff_ids = tuple(
        check_digest(_text(item, where), where) for item in _list(root.get("diff_ids"), where)
    )
    environment = (_text(item, where) for item in _list(inner.get("Env"), where))
    labels = _texts(inner.get("Labels"), where)
    return Configured(
        configuration=ImageConfiguration(
            digest=digest,
            environment=tuple(_variable(text) for text in environment),
            labels=tuple(sorted(labels.items())),
            working_directory=_text(inner.get("WorkingDir"), where) or "/",
            user=_text(inner.get("User"), where),
        ),
        platform=_platform(document, where) or "unknown/unknown",
        diff_ids=diff_ids,
    )


def normalised_platform(text: str) -> str:
    """Return ``linux/arm64`` for ``linux/arm64/v8`` and other platforms as they are.

    Raises `UsageError` for what is not ``os/architecture[/variant]``.
    """
    if not _PLATFORM.fullmatch(text):
        raise UsageError(
            f"{text!r} is not a platform.", remedy="Write it as os/architecture: linux/amd64."
        )
    return text.removesuffix("/v8") if text == "linux/arm64/v8" else text


def _descriptor(item: object, where: str) -> Descriptor:
    fields = _mapping(item, where)
    size = fields.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise DamagedInputError(f"{where} refers to a blob of {str(size)[:40]} bytes.")
    return Descriptor(
        digest=check_digest(_text(fields.get("digest"), where), where),
        size=size,
        media_type=_text(fields.get("mediaType"), where),
        platform=_platform(_mapping(fields.get("platform") or {}, where), where),
        annotations=_texts(fields.get("annotations"), where),
    )


def _platform(fields: Mapping[str, Any], where: str) -> str | None:
    names = [_text(fields.get(key), where) for key in ("os", "architecture", "variant")]
    text = "/".join(name for name in names if name)
    if not text:
        return None
    return text.removesuffix("/v8") if text == "linux/arm64/v8" else text


def _variable(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def _texts(value: object, where: str) -> dict[str, str]:
    return {key: _text(item, where) for key, item in _mapping(value or {}, where).items()}


def _text(value: object, where: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DamagedInputError(f"{where} has {type(value).__name__} where a text belongs.")
    return value


def _list(value: object, where: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise DamagedInputError(f"{where} has {type(value).__name__} where a list belongs.")
    return value


def _mapping(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DamagedInputError(f"{where} has {type(value).__name__} where an object belongs.")
    return value
