"""An OCI layout in a folder: reading its documents, and adding some.

Format: OCI image-spec 1.1, "Image Layout". ``index.json`` refers to the roots; every other file is
a blob below ``blobs/ALGORITHM/``. Blobs are written whole before anything refers to them, and
``index.json`` is replaced in one step, so a layout is complete at every moment.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from smforge.errors import DamagedInputError, UsageError
from smforge.files import open_regular, read_small
from smforge.oci.documents import (
    DOCUMENT_BYTES,
    Descriptor,
    check_document_size,
    checked_document,
    digest_of,
    parse_index,
)
from smforge.oci.fields import parse_document
from smforge.oci.parts import file_parts
from smforge.writing import write_whole


class LayoutFolder:
    """The blobs of an OCI layout."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.where = str(folder)

    def index(self) -> dict[str, Any]:
        """The content of ``index.json``.

        Raises `UsageError` where there is none and `DamagedInputError` where it is unreadable.
        """
        path = self.folder / "index.json"
        try:
            data = read_small(path, DOCUMENT_BYTES)
        except OSError as error:
            raise UsageError(
                f"{self.where} is not an OCI layout: {path} cannot be read ({error.strerror})."
            ) from error
        return parse_document(data, f"index.json in {self.where}")

    def roots(self) -> tuple[Descriptor, ...]:
        """The descriptors in ``index.json``. Raises as `index` does."""
        return parse_index(self.index(), f"index.json in {self.where}")

    def has(self, digest: str) -> bool:
        """Whether the blob is there."""
        return self.path(digest).is_file()

    def document(self, descriptor: Descriptor) -> bytes:
        """A manifest, index or configuration, verified."""
        check_document_size(descriptor, self.where)
        try:
            data = read_small(self.path(descriptor.digest), DOCUMENT_BYTES)
        except OSError as error:
            raise self._missing(descriptor.digest, error) from error
        return checked_document(data, descriptor, self.where)

    def parts(self, digest: str, start: int = 0) -> Iterator[bytes]:
        """The bytes of a blob from `start` on, unverified."""
        try:
            with os.fdopen(open_regular(self.path(digest)), "rb") as file:
                yield from file_parts(file.fileno(), start)
        except OSError as error:
            raise self._missing(digest, error) from error

    def path(self, digest: str) -> Path:
        """The path of the blob, whether it is there or not."""
        algorithm, _, encoded = digest.partition(":")
        return self.folder / "blobs" / algorithm / encoded

    def require(self, blob: Descriptor) -> None:
        """Raise `DamagedInputError` unless the blob is there in its full length."""
        try:
            size = self.path(blob.digest).stat().st_size
        except OSError as error:
            raise self._missing(blob.digest, error) from error
        if size != blob.size:
            raise DamagedInputError(
                f"Blob {blob.digest} of {self.where} has {size} bytes, not {blob.size}.",
                remedy="Write the layout again: an export that was interrupted cuts blobs off.",
            )

    def put(self, data: bytes) -> dict[str, Any]:
        """Store a blob; the result is the beginning of its descriptor."""
        digest = digest_of(data)
        path = self.path(digest)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, data)
        return {"digest": digest, "size": len(data)}

    def put_document(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Store a manifest or index; the result is the beginning of its descriptor."""
        return {"mediaType": document["mediaType"], **self.put(json_bytes(document))}

    def replace_index(self, document: Mapping[str, Any]) -> None:
        """Make `document` the ``index.json``."""
        write_whole(self.folder / "index.json", json_bytes(document))

    def drop(self, digest: str) -> None:
        """Remove a blob that nothing refers to any more."""
        self.path(digest).unlink(missing_ok=True)

    def _missing(self, digest: str, error: OSError) -> DamagedInputError:
        return DamagedInputError(
            f"Blob {digest} of {self.where} cannot be read ({error.strerror}).",
            remedy="Write the layout again: an export that was interrupted lacks blobs.",
        )


def json_bytes(document: Mapping[str, Any]) -> bytes:
    """A document as it is stored: one input, one digest."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
