"""One tag for the images of several platforms: an index of what their indexes hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from smforge.errors import DamagedInputError, UsageError
from smforge.oci.credentials import find_credentials
from smforge.oci.documents import INDEX, digest_of
from smforge.oci.layout import LayoutFolder, json_bytes
from smforge.oci.push import PushClient
from smforge.oci.reference import parse_reference
from smforge.publish.layouts import read_root
from smforge.publish.push import FindCredentials


def joined_index(folders: Sequence[Path]) -> bytes:
    """The index of the images in several layouts, with all that accompanies them.

    The descriptors are those of the layouts, in their order, so an image keeps its verdict and its
    attestations. Annotations of the index are those that all layouts agree on. Raises `UsageError`
    for two images of one platform, and as `read_root` does.
    """
    roots = [(folder, read_root(LayoutFolder(folder))) for folder in folders]
    platforms: dict[str | None, Path] = {}
    for folder, root in roots:
        for image in root.images(str(folder)):
            if image.platform is None:
                raise DamagedInputError(f"{folder} does not say which platform its image is for.")
            if image.platform in platforms:
                raise UsageError(
                    f"{platforms[image.platform]} and {folder} are both for {image.platform}."
                )
            platforms[image.platform] = folder
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [entry for _, root in roots for entry in root.index["manifests"]],
    }
    shared = _shared(root.index.get("annotations", {}) for _, root in roots)
    if shared:
        document["annotations"] = shared
    return json_bytes(document)


def push_joined(
    folders: Sequence[Path],
    reference: str,
    *,
    credentials: FindCredentials = find_credentials,
    announce: Callable[[str], None] = lambda _text: None,
) -> str:
    """Give the images of several layouts, which the repository has already, one tag.

    The result is the digest of the tag. Raises as `joined_index` does, and `ToolError` where the
    registry refuses it.
    """
    target = parse_reference(reference)
    data = joined_index(folders)
    announce(f"joining {len(folders)} platforms as {target.written}")
    client = PushClient(target, credentials)
    try:
        client.put_manifest(target.version, data, INDEX)
    finally:
        client.close()
    return digest_of(data)


def _shared(annotations: Iterable[dict[str, str]]) -> dict[str, str]:
    """What all of them have with the same value."""
    first, *others = annotations
    return {
        key: value
        for key, value in sorted(first.items())
        if all(one.get(key) == value for one in others)
    }
