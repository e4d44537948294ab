"""Sends a finished layout to a registry: everything first, the tag last."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from smforge.errors import UsageError
from smforge.oci.credentials import Credentials, find_credentials
from smforge.oci.documents import INDEX, INDEX_TYPES, Descriptor, parse_contents, parse_index
from smforge.oci.fields import list_of, mapping_of, parse_document, text_of
from smforge.oci.layout import LayoutFolder, json_bytes
from smforge.oci.push import PushClient
from smforge.oci.reference import Reference, parse_reference
from smforge.progress import AnnouncedItems
from smforge.publish.layouts import read_root

Announce = Callable[[str], None]
FindCredentials = Callable[[str], Credentials | None]


@dataclass(frozen=True, slots=True)
class Pushed:
    """The result of a push."""

    reference: str
    """HOST/NAME:TAG, written last."""
    digest: str
    """The digest of the tag: pull HOST/NAME@DIGEST."""
    sent: int
    """Bytes of blobs that the registry did not have."""
    spared: int
    """Bytes of blobs that it had, or took from another repository."""


def push(
    folder: Path,
    reference: str,
    *,
    mount_from: Sequence[str] = (),
    credentials: FindCredentials = find_credentials,
    announce: Announce = lambda _text: None,
) -> Pushed:
    """Push the image of a layout to ``HOST/NAME:TAG``, with what refers to it.

    Blobs that are there are not sent; those of the repositories `mount_from` of the same registry
    are taken from there. An interrupted push leaves blobs and manifests by digest, which the
    registry's garbage collection removes and another push uses, and never a tag.
    Raises `UsageError` for a reference by digest or a layout without an image, `ToolError` where
    the registry cannot be reached or refuses.
    """
    target = parse_reference(reference)
    if ":" in target.version:  # No tag has one.
        raise UsageError(f"{reference} is a digest.", remedy="Images are pushed to a tag.")
    client = PushClient(target, credentials, AnnouncedItems(announce))
    try:
        return _Push(LayoutFolder(folder), target, client, tuple(mount_from), announce).carry_out()
    finally:
        client.close()


class _Push:
    """One layout that is pushed to one repository."""

    def __init__(
        self,
        layout: LayoutFolder,
        target: Reference,
        client: PushClient,
        mount_from: tuple[str, ...],
        announce: Announce,
    ) -> None:
        self._layout = layout
        self._target = target
        self._client = client
        self._mount_from = mount_from
        self._announce = announce
        self._done: set[str] = set()
        self._sent = 0
        self._spared = 0

    def carry_out(self) -> Pushed:
        root = read_root(self._layout)
        roots = self._layout.roots()
        image = roots[root.position]
        self._send(image)
        for referrer in roots:
            if not referrer.is_image:
                self._send(referrer)
        self._client.put_manifest(
            self._target.version, self._layout.document(image), image.media_type
        )
        return Pushed(self._target.written, image.digest, self._sent, self._spared)

    def _send(self, item: Descriptor) -> None:
        """Send a manifest or index, after everything that it refers to."""
        if item.digest in self._done:
            return
        self._done.add(item.digest)
        data = self._layout.document(item)
        document = parse_document(data, f"{item.digest} in {self._layout.where}")
        if item.media_type in INDEX_TYPES:
            for child in parse_index(document, item.digest):
                self._send(child)
        else:
            manifest = parse_contents(document, item.digest)
            for blob in (manifest.configuration, *manifest.layers):
                self._send_blob(blob)
        listed = self._client.put_manifest(item.digest, data, item.media_type)
        subject = mapping_of(document.get("subject") or {}, item.digest)
        if subject and not listed:
            self._list_referrer(text_of(subject.get("digest"), item.digest), item, document)

    def _send_blob(self, blob: Descriptor) -> None:
        if blob.digest in self._done:
            return
        self._done.add(blob.digest)
        if self._client.has_blob(blob.digest) or self._mounted(blob.digest):
            self._spared += blob.size
            return
        # A registry would wait long for announced bytes that do not arrive.
        self._layout.require(blob)
        self._announce(f"pushing {blob.digest[:19]} ({blob.size:,} bytes)")
        self._client.upload(blob.digest, blob.size, self._parts_of(blob))
        self._sent += blob.size

    def _mounted(self, digest: str) -> bool:
        return any(self._client.mount(digest, source) for source in self._mount_from)

    def _parts_of(self, blob: Descriptor) -> Callable[[int], Iterator[bytes]]:
        return lambda start: self._layout.parts(blob.digest, start)

    def _list_referrer(self, subject: str, item: Descriptor, document: dict[str, object]) -> None:
        """List an artefact under the tag of its subject, for registries that keep no such lists.

        Distribution-spec 1.1, "Referrers Tag Schema".
        """
        tag = subject.replace(":", "-")
        where = f"{self._target.host}/{self._target.name}:{tag}"
        there = self._client.manifest(tag)
        entries = list_of(parse_document(there, where).get("manifests"), where) if there else []
        if any(entry.get("digest") == item.digest for entry in entries):
            return
        entry = {
            "mediaType": item.media_type,
            "digest": item.digest,
            "size": item.size,
            "artifactType": document.get("artifactType"),
            "annotations": document.get("annotations", {}),
        }
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [*entries, entry]}
        self._client.put_manifest(tag, json_bytes(index), INDEX)
