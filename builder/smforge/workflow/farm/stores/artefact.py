"""A cell's verified result as an artefact in a registry: record, reports, wheels, image layout.

Format: OCI image-spec 1.1, "Guidelines for Artifact Usage": a manifest with an `artifactType`, an
empty configuration, and a layer for each file, whose title is its path (as ORAS writes and reads
them). The digest of a layer is that of the file, so a blob of an image's layout is the same blob as
the one of the pushed image, and a registry keeps it once. The tag, which is written last, names the
cell and the digest of its inputs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from smforge.bake.record import MOST_BYTES, RECORD_NAME, RunRecord, parse_record
from smforge.errors import DamagedInputError, UsageError
from smforge.files import open_regular, sha256_of
from smforge.oci.credentials import Credentials
from smforge.oci.documents import MANIFEST, Descriptor, digest_of, parse_contents
from smforge.oci.fields import parse_document, text_of
from smforge.oci.layout import json_bytes
from smforge.oci.parts import file_parts, verified
from smforge.oci.pull import PullClient
from smforge.oci.push import PushClient
from smforge.oci.reference import Reference, parse_reference
from smforge.progress import AnnouncedItems
from smforge.publish.layouts import rfc3339
from smforge.publish.referrer import EMPTY_TYPE, REPORT_TYPE, TITLE

CELL_TYPE = "application/vnd.smforge.cell.v1"
RECORD_TYPE = "application/vnd.smforge.record.v1+json"
_FILE_TYPE = "application/octet-stream"
_CELL = "io.smforge.cell"
_INPUTS = "io.smforge.inputs.digest"
_CREATED = "org.opencontainers.image.created"
_EMPTY = b"{}"
_MOST_FILES = 1000
"""A manifest of so many files has about 300 kB; registries take 4 MiB."""
_DIGITS = 40
"""Of the digest of the inputs in a tag, which has at most 128 characters. The record has it all."""

FindCredentials = Callable[[str], Credentials | None]
Announce = Callable[[str], None]


def tag_of(cell: str, inputs_sha256: str) -> str:
    """The tag of a cell's result: ``cu130-linux-arm64-`` and 40 digits."""
    return f"{cell}-{inputs_sha256[:_DIGITS]}"


@dataclass(frozen=True, slots=True)
class StoredCell:
    """A result as its manifest and its record describe it."""

    tag: str
    digest: str
    """Of the manifest."""
    record: RunRecord
    files: Mapping[str, Descriptor]
    """Every file of the manifest, by path."""


class CellRepository:
    """The results of cells in one repository of a registry."""

    def __init__(
        self, repository: str, credentials: FindCredentials, announce: Announce = lambda _text: None
    ) -> None:
        """`repository` is HOST/NAME. Raises `UsageError` for anything else."""
        self.reference = repository_of(repository)
        self._credentials = credentials
        self._announce = announce

    def tags(self, cell: str) -> tuple[str, ...]:
        """The tags of a cell's results. Raises `ToolError` where the registry does not answer."""
        with closing(self._pull()) as client:
            every = client.tags()
        return tuple(one for one in every if one == f"{cell}-{one[-_DIGITS:]}")

    def find(self, tag: str) -> StoredCell | None:
        """The result behind a tag; None where there is none.

        Raises `ToolError` where the registry does not answer, and `DamagedInputError` for what is
        no result of a cell.
        """
        with closing(self._pull()) as client:
            try:
                data, _ = client.manifest(tag)
            except UsageError:  # The registry has no such tag.
                return None
            where = f"{self.reference.host}/{self.reference.name}:{tag}"
            document = parse_document(data, where)
            if text_of(document.get("artifactType"), where) != CELL_TYPE:
                raise DamagedInputError(f"{where} is no result of a cell.")
            layers = parse_contents(document, where).layers
            files = {one.annotations.get(TITLE, ""): one for one in layers}
            record = files.get(RECORD_NAME)
            if record is None or record.size > MOST_BYTES:
                raise DamagedInputError(f"{where} has no record that can be read.")
            text = b"".join(self._parts(client, record))
        return StoredCell(tag, digest_of(data), parse_record(text, Path(where)), files)

    def fetch(self, stored: StoredCell, folder: Path) -> None:
        """Write the files of a result to `folder`, each verified by its digest.

        Only what the record names is fetched, under the names of the record. Raises as `find` does.
        """
        record = stored.record
        wanted = {one.path: f"sha256:{one.sha256}" for one in record.artefacts}
        names = (*wanted, *sorted(record.reports), RECORD_NAME)
        with closing(self._pull()) as client:
            for name in names:
                file = stored.files.get(name)
                if file is None or wanted.get(name, file.digest) != file.digest:
                    raise DamagedInputError(
                        f"{self._written(stored.tag)} has {name} not as its record says."
                    )
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("wb") as stream:
                    for part in self._parts(client, file):
                        stream.write(part)

    def send(self, cell: str, record: RunRecord, folder: Path, mount_from: str | None) -> int:
        """Store the result in `folder`; the result is the number of bytes that were sent.

        Blobs that the repository has are not sent, those of the repository `mount_from` of the same
        registry are taken from there. The tag is written last. Raises `ToolError` where the
        registry does not answer or refuses, `DamagedInputError` for files that cannot be read.
        """
        files = {one.path: (one.sha256, one.size) for one in record.artefacts}
        for name in (*sorted(record.reports), RECORD_NAME):
            files[name] = _measured(folder / name)
        if len(files) > _MOST_FILES:
            raise DamagedInputError(
                f"{folder} has {len(files)} files, and a manifest may list {_MOST_FILES}.",
                remedy="Use a directory as the store.",
            )
        tag = tag_of(cell, record.inputs_sha256)
        client = PushClient(self._at(tag), self._credentials, AnnouncedItems(self._announce))
        with closing(client):
            sent = sum(
                _sent(client, f"sha256:{sha256}", size, _parts_of(folder / name), mount_from)
                for name, (sha256, size) in files.items()
            )
            empty = digest_of(_EMPTY)
            sent += _sent(client, empty, len(_EMPTY), lambda start: iter([_EMPTY[start:]]), None)
            client.put_manifest(tag, _manifest(cell, record, files), MANIFEST)
        return sent

    def _pull(self) -> PullClient:
        return PullClient(self.reference, self._credentials, AnnouncedItems(self._announce))

    def _at(self, tag: str) -> Reference:
        return parse_reference(self._written(tag))

    def _written(self, tag: str) -> str:
        return f"{self.reference.written.rpartition(':')[0]}:{tag}"

    @staticmethod
    def _parts(client: PullClient, file: Descriptor) -> Iterator[bytes]:
        parts = client.blob_parts(file.digest, file.size)
        return verified(parts, file.digest, file.size, f"Blob {file.digest}")


def repository_of(repository: str) -> Reference:
    """Read HOST/NAME. Raises `UsageError` for anything else, a tag or digest included."""
    try:
        return parse_reference(f"{repository}:cell")
    except UsageError as error:
        raise UsageError(
            f"{repository!r} is not a repository of a registry.", remedy="Write it as HOST/NAME."
        ) from error


def _manifest(cell: str, record: RunRecord, files: Mapping[str, tuple[str, int]]) -> bytes:
    reports = record.reports
    layers = [
        {
            "mediaType": RECORD_TYPE
            if name == RECORD_NAME
            else REPORT_TYPE
            if name in reports
            else _FILE_TYPE,
            "digest": f"sha256:{sha256}",
            "size": size,
            "annotations": {TITLE: name},
        }
        for name, (sha256, size) in files.items()
    ]
    return json_bytes(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": CELL_TYPE,
            "config": {"mediaType": EMPTY_TYPE, "digest": digest_of(_EMPTY), "size": len(_EMPTY)},
            "layers": layers,
            "annotations": {
                _CELL: cell,
                _CREATED: rfc3339(record.finished),
                _INPUTS: f"sha256:{record.inputs_sha256}",
            },
        }
    )


def _sent(
    client: PushClient,
    digest: str,
    size: int,
    parts: Callable[[int], Iterator[bytes]],
    mount_from: str | None,
) -> int:
    """The bytes that were sent of a blob, 0 where the repository has it now without that."""
    if client.has_blob(digest):
        return 0
    if mount_from is not None and client.mount(digest, mount_from):
        return 0
    client.upload(digest, size, parts)
    return size


def _parts_of(path: Path) -> Callable[[int], Iterator[bytes]]:
    def parts(start: int) -> Iterator[bytes]:
        try:
            with os.fdopen(open_regular(path), "rb") as file:
                yield from file_parts(file.fileno(), start)
        except OSError as error:
            raise _unreadable(path, error) from error

    return parts


def _measured(path: Path) -> tuple[str, int]:
    try:
        return sha256_of(path), path.stat().st_size
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> DamagedInputError:
    return DamagedInputError(f"{path} cannot be read: {error.strerror or error}.")
