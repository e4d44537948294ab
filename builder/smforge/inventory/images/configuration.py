"""An image's configuration, and the platforms that name one image of an index.

Format: OCI image-spec 1.1, "Image Configuration"; Docker's has the same fields.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from smforge.errors import UsageError
from smforge.inventory.records import ImageConfiguration
from smforge.oci.documents import check_digest
from smforge.oci.fields import list_of, mapping_of, platform_of, text_of, texts_of

UNKNOWN_PLATFORM = "unknown/unknown"
"""Of an image whose configuration names no platform."""
_PLATFORM = re.compile(r"[a-z0-9]+/[a-z0-9_]+(/[a-z0-9]+)?")


@dataclass(frozen=True, slots=True)
class Configured:
    """The content of an image's configuration."""

    configuration: ImageConfiguration
    platform: str
    diff_ids: tuple[str, ...]
    """Digests of the uncompressed layers, lowest first."""


def parse_configuration(document: Mapping[str, Any], digest: str, where: str) -> Configured:
    """Read an image configuration with the digest `digest`."""
    inner = mapping_of(document.get("config") or {}, where)
    root = mapping_of(document.get("rootfs") or {}, where)
    diff_ids = tuple(
        check_digest(text_of(item, where), where) for item in list_of(root.get("diff_ids"), where)
    )
    environment = (text_of(item, where) for item in list_of(inner.get("Env"), where))
    labels = texts_of(inner.get("Labels"), where)
    return Configured(
        configuration=ImageConfiguration(
            digest=digest,
            environment=tuple(_variable(text) for text in environment),
            labels=tuple(sorted(labels.items())),
            working_directory=text_of(inner.get("WorkingDir"), where) or "/",
            user=text_of(inner.get("User"), where),
        ),
        platform=platform_of(document, where) or UNKNOWN_PLATFORM,
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


def _variable(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value
