"""``oci:DIR``: an OCI image layout in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from builder.errors import DamagedInputError, UsageError
from builder.inventory.images.choice import Layer
from builder.inventory.images.image import ImageSubject
from builder.inventory.images.store import (
    StoredSource,
    check_document_size,
    checked_document,
    layout_roots,
)
from builder.inventory.options import ReadOptions
from builder.oci.documents import DOCUMENT_BYTES, Descriptor
from builder.oci.parts import file_parts


class LayoutStore:
    """The blobs of an OCI layout folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.where = str(folder)

    def roots(self) -> tuple[Descriptor, ...]:
        path = self._folder / "index.json"
        try:
            if path.stat().st_size > DOCUMENT_BYTES:
                raise DamagedInputError(f"{path} is larger than {DOCUMENT_BYTES} bytes.")
            return layout_roots(path.read_bytes(), self.where)
        except OSError as error:
            raise UsageError(
                f"{self.where} is not an OCI layout: {path} cannot be read ({error.strerror})."
            ) from error

    def has(self, digest: str) -> bool:
        return self._path(digest).is_file()

    def document(self, descriptor: Descriptor) -> bytes:
        check_document_size(descriptor, self.where)
        try:
            with self._path(descriptor.digest).open("rb") as file:
                data = file.read(descriptor.size + 1)
        except OSError as error:
            raise self._missing(descriptor.digest, error) from error
        return checked_document(data, descriptor, self.where)

    def layer_parts(self, layer: Layer) -> Iterator[bytes]:
        try:
            with self._path(layer.key).open("rb") as file:
                yield from file_parts(file.fileno())
        except OSError as error:
            raise self._missing(layer.key, error) from error

    def close(self) -> None:
        """Do nothing: every file is closed where it was opened."""

    def _path(self, digest: str) -> Path:
        algorithm, _, encoded = digest.partition(":")
        return self._folder / "blobs" / algorithm / encoded

    def _missing(self, digest: str, error: OSError) -> DamagedInputError:
        return DamagedInputError(
            f"Blob {digest} of {self.where} cannot be read ({error.strerror}).",
            remedy="Write the layout again: an export that was interrupted lacks blobs.",
        )


def split_reference(argument: str) -> tuple[Path, str | None]:
    """Split ``PATH[:REFERENCE]`` at the first colon after which a reference may stand.

    A path that exists as a whole is one. Raises `UsageError` when nothing of it exists.
    """
    if (whole := Path(argument)).exists():
        return whole, None
    at = argument.find(":")
    while at > 0:
        path = Path(argument[:at])
        if path.exists() and argument[at + 1 :]:
            return path, argument[at + 1 :]
        at = argument.find(":", at + 1)
    raise UsageError(f"{argument} does not exist.")


def open_subject(argument: str, options: ReadOptions) -> ImageSubject:
    """Open ``DIR`` or ``DIR:REFERENCE``.

    Raises `UsageError` when that is no layout or leaves several images, and `DamagedInputError`
    when the layout contradicts itself.
    """
    folder, reference = split_reference(argument)
    source = StoredSource(LayoutStore(folder), reference=reference, platform=options.platform)
    return ImageSubject(source, argument, options.limits)
