"""Loads a finished layout into the engine under its tag."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

from smforge.docker import no_client
from smforge.errors import ToolError
from smforge.oci.documents import INDEX, INDEX_TYPES, Descriptor, parse_contents, parse_index
from smforge.oci.fields import parse_document
from smforge.oci.layout import LayoutFolder, json_bytes
from smforge.publish.layouts import read_root

_NAME = "io.containerd.image.name"


def load(folder: Path, name: str) -> str:
    """Load the image of a layout into the engine as `name`; the result is its digest.

    The layout is streamed: no archive is written. The engine's tag appears with the image or not at
    all. Raises `ToolError` where the engine refuses it, and as `read_root` does.
    """
    layout = LayoutFolder(folder)
    root = layout.roots()[read_root(layout).position]
    blobs = {blob.digest: blob for blob in _blobs(layout, root)}
    for blob in blobs.values():
        layout.require(blob)
    try:
        loading = subprocess.Popen(
            ("docker", "image", "load", "--quiet"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except FileNotFoundError as error:
        raise no_client() from error
    with loading:
        assert loading.stdin is not None
        assert loading.stdout is not None
        broken = False
        try:
            with tarfile.open(fileobj=loading.stdin, mode="w|", format=tarfile.PAX_FORMAT) as tar:
                _add(tar, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
                _add(tar, "index.json", _index(root, name))
                for digest in blobs:
                    place = f"blobs/{digest.replace(':', '/')}"
                    tar.add(layout.path(digest), place, recursive=False)
            loading.stdin.close()
        except BrokenPipeError:
            # The engine has said why.
            broken = True
        answer = loading.stdout.read().decode(errors="replace").strip()
    if loading.returncode != 0 or broken:
        last = answer.splitlines()[-1] if answer else "it said nothing"
        raise ToolError(
            f"The engine did not load {name}: {last}",
            remedy="Its image store must be containerd's; 'smforge doctor' says whether it is.",
        )
    return root.digest


def _index(root: Descriptor, name: str) -> bytes:
    """An ``index.json`` of nothing but the image, under the name that it gets."""
    entry = {
        "mediaType": root.media_type,
        "digest": root.digest,
        "size": root.size,
        "annotations": {_NAME: _full_name(name)},
    }
    return json_bytes({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]})


def _full_name(name: str) -> str:
    """`name` with its registry: Docker Hub, where none is written, as everywhere in the engine."""
    first, slash, _ = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return name
    return f"docker.io/{name}" if slash else f"docker.io/library/{name}"


def _blobs(layout: LayoutFolder, item: Descriptor) -> Iterator[Descriptor]:
    """Everything that `item` refers to, and itself."""
    yield item
    document = parse_document(layout.document(item), f"{item.digest} in {layout.where}")
    if item.media_type in INDEX_TYPES:
        for child in parse_index(document, item.digest):
            yield from _blobs(layout, child)
        return
    contents = parse_contents(document, item.digest)
    yield from (contents.configuration, *contents.layers)


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))
