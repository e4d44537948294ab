"""What a build is made from, as one digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from smforge.bake.artefacts import files_below
from smforge.bake.inputs.rootfs import root_file_systems
from smforge.matrix.place import BAKE_FILE, PACKAGE
from smforge.plan.document import cell_document
from smforge.plan.records import Cell
from smforge.version import __version__

CONTEXTS = "docker"
"""The folder of a project in which the contexts of docker-bake.hcl lie, but for those that the host
makes and the programs of this package."""
_PROGRAMS = PACKAGE / "inventory" / "probing" / "programs"


def inputs_digest(
    cell: Cell,
    root: Path,
    matrix: Path,
    policies: Iterable[Path] = (),
    checkout: Path | None = None,
) -> str:
    """SHA-256 over everything that decides what a cell's artefacts are and whether they pass.

    That is: this version of smforge, the resolved cell and what its root file systems are made
    of, docker-bake.hcl, the matrix, every file of CONTEXTS, the programs that run within an image,
    every file of a checkout that takes the place of a release, with their names, and the policies.
    What else the host adds (job counts, certificates) does not count.
    """
    digest = hashlib.sha256()
    document = json.dumps(cell_document(cell), sort_keys=True)
    _add(digest, "cell", document.encode())
    _add(digest, "smforge", __version__.encode())
    for rootfs in root_file_systems(cell).values():
        _add(digest, "rootfs", rootfs.directory_name.encode())
    for name, file in (
        (BAKE_FILE, root / BAKE_FILE),
        ("matrix", matrix),
        *((str(file.relative_to(root)), file) for file in files_below(root / CONTEXTS)),
        *((f"programs/{file.relative_to(_PROGRAMS)}", file) for file in files_below(_PROGRAMS)),
        *(("policy", file) for file in policies),
        *_checkout_files(checkout),
    ):
        if file.is_file():
            _add(digest, name, file.read_bytes())
    return digest.hexdigest()


def _checkout_files(checkout: Path | None) -> Iterator[tuple[str, Path]]:
    if checkout is not None:
        for file in files_below(checkout):
            yield f"checkout/{file.relative_to(checkout)}", file


def _add(digest: hashlib._Hash, name: str, content: bytes) -> None:
    """Add one named thing so that no two sequences of things read the same."""
    digest.update(f"{name}\0{len(content)}\0".encode())
    digest.update(content)
