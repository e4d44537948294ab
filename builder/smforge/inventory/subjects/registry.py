"""``registry:HOST/NAME:TAG``: an image in a registry, read without an engine."""

from __future__ import annotations

from collections.abc import Iterator

from smforge.inventory.images.choice import Layer
from smforge.inventory.images.store import StoredSource
from smforge.inventory.options import ReadOptions
from smforge.inventory.subjects.image import ImageSubject
from smforge.oci.credentials import find_credentials
from smforge.oci.documents import (
    INDEX_TYPES,
    MANIFEST_TYPES,
    Descriptor,
    check_document_size,
    checked_document,
    digest_of,
)
from smforge.oci.parts import verified
from smforge.oci.pull import PullClient
from smforge.oci.reference import Reference, parse_reference


class RegistryStore:
    """The blobs of one repository."""

    def __init__(self, reference: Reference, client: PullClient) -> None:
        self._reference = reference
        self._client = client
        self._root: tuple[str, bytes] | None = None
        self.where = reference.host

    def roots(self) -> tuple[Descriptor, ...]:
        version = self._reference.version
        data, media_type = self._client.manifest(version)
        if ":" in version:
            # A digest: a tag holds no colon.
            where = f"The manifest {version} of {self.where}"
            data = b"".join(verified([data], version, None, where))
        digest = digest_of(data)
        self._root = (digest, data)
        annotations = {"io.containerd.image.name": self._reference.written}
        return (Descriptor(digest, len(data), media_type, annotations=annotations),)

    def has(self, digest: str) -> bool:  # noqa: ARG002
        """Trust the index, because each check of a platform would cost a request."""
        return True

    def document(self, descriptor: Descriptor) -> bytes:
        if self._root is not None and descriptor.digest == self._root[0]:
            return self._root[1]
        check_document_size(descriptor, self.where)
        if descriptor.media_type in {*INDEX_TYPES, *MANIFEST_TYPES}:
            data, _ = self._client.manifest(descriptor.digest)
        else:
            data = b"".join(self._client.blob_parts(descriptor.digest, descriptor.size))
        return checked_document(data, descriptor, self.where)

    def layer_parts(self, layer: Layer) -> Iterator[bytes]:
        return self._client.blob_parts(layer.key, layer.size)

    def close(self) -> None:
        self._client.close()


def open_subject(argument: str, options: ReadOptions) -> ImageSubject:
    """Open ``HOST/NAME:TAG`` or ``HOST/NAME@sha256:…``.

    Raises `UsageError` when there is no such image or several are left to choose from, `ToolError`
    when the registry cannot be reached or refuses, and `DamagedInputError` when what it sends is
    not what it announced.
    """
    reference = parse_reference(argument)
    client = PullClient(reference, find_credentials, options.progress)
    try:
        store = RegistryStore(reference, client)
        source = StoredSource(store, reference=None, platform=options.platform)
    except BaseException:
        client.close()
        raise
    return ImageSubject(source, argument, options.limits)
