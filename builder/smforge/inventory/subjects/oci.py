"""``oci:DIR``: an OCI image layout in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from smforge.errors import UsageError
from smforge.inventory.images.choice import Layer
from smforge.inventory.images.store import StoredSource
from smforge.inventory.options import ReadOptions
from smforge.inventory.subjects.image import ImageSubject
from smforge.oci.layout import LayoutFolder


class LayoutStore(LayoutFolder):
    """A layout as a store of images."""

    def layer_parts(self, layer: Layer) -> Iterator[bytes]:
        return self.parts(layer.key)

    def close(self) -> None:
        """Do nothing: every file is closed where it was opened."""


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
