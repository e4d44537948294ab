"""Where an image comes from: its layers as they are stored, and what describes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from smforge.inventory.images.choice import Image


@dataclass(frozen=True, slots=True)
class LayerStream:
    """One layer as stored: its bytes, verified as they are read."""

    key: str
    parts: Iterator[bytes]
    certain: bool = True
    """False for a blob that may turn out to be no layer of the image."""


class ImageSource(Protocol):
    """Where an image is stored."""

    def layers(self) -> Iterator[LayerStream]:
        """Yield every layer once, in any order; each must be read before the next is asked for."""

    def image(self) -> Image:
        """Return the image. Ask after the last layer: some sources describe it at their end."""

    def stored_bytes(self) -> int | None:
        """The bytes of all layers as stored; None where they are not known. For progress alone."""

    def close(self) -> None:
        """Release connections, processes and files."""
