"""The layers of an image in a layout: how large each is, and the step that made it.

Formats: OCI image-spec 1.1, "Image Configuration" (``history``); its ``created_by`` has the form in
which BuildKit writes a step: ``RUN |2 NAME=VALUE … /bin/sh -c COMMANDS # buildkit``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smforge.oci.documents import MANIFEST_TYPES, Descriptor, parse_index, parse_manifest
from smforge.oci.fields import list_of, mapping_of, parse_document, text_of
from smforge.oci.layout import LayoutFolder

_MOST = 10
"""How many layers are shown: the biggest ones."""
_STEP_WIDTH = 104
_RUN = re.compile(r"RUN (?:\|\d+ .*?)?/bin/sh -c (?P<script>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class SizedLayer:
    """One layer, as it is stored and sent."""

    digest: str
    bytes: int
    """Compressed, as the manifest states it."""
    step: str
    """What made it, for people; empty where the configuration does not say it."""


def biggest_layers(folder: Path) -> tuple[SizedLayer, ...]:
    """The biggest layers of the images in a layout, the biggest first.

    Raises `UsageError` where there is no layout and `DamagedInputError` where it cannot be read.
    """
    layout = LayoutFolder(folder)
    images = [one for root in layout.roots() for one in _images(layout, root)]
    found = [layer for image in images for layer in _layers(layout, image)]
    return tuple(sorted(found, key=lambda one: -one.bytes)[:_MOST])


def _images(layout: LayoutFolder, root: Descriptor) -> Iterator[Mapping[str, Any]]:
    """The manifests of the images that a root leads to; BuildKit writes one index at most."""
    if not root.is_image:
        return
    document = parse_document(layout.document(root), layout.where)
    if root.media_type in MANIFEST_TYPES:
        yield document
        return
    for one in parse_index(document, layout.where):
        if one.is_image:
            yield parse_document(layout.document(one), layout.where)


def _layers(layout: LayoutFolder, document: Mapping[str, Any]) -> Iterator[SizedLayer]:
    where = layout.where
    manifest = parse_manifest(document, where)
    configuration = parse_document(layout.document(manifest.configuration), where)
    history = [mapping_of(one, where) for one in list_of(configuration.get("history"), where)]
    made = [text_of(one.get("created_by"), where) for one in history if not one.get("empty_layer")]
    # Another tool may have added layers without a history, and nothing says which ones.
    steps = made if len(made) == len(manifest.layers) else [""] * len(manifest.layers)
    for layer, step in zip(manifest.layers, steps, strict=True):
        yield SizedLayer(layer.digest, layer.size, step_text(step))


def step_text(created_by: str) -> str:
    """A step in one short line, without its build arguments: the end of a script, which works."""
    text = created_by.removesuffix("# buildkit").strip()
    found = _RUN.fullmatch(text)
    if found is None:
        line = " ".join(text.split())
        return line if len(line) <= _STEP_WIDTH else f"{line[: _STEP_WIDTH - 1]}…"
    lines = [" ".join(line.split()) for line in found["script"].splitlines()]
    script = "; ".join(line for line in lines if line and line != "set -eu")
    cut = script if len(script) <= _STEP_WIDTH else f"…{script[-_STEP_WIDTH + 1 :]}"
    return f"RUN {cut}"
