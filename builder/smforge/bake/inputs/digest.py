"""The inputs of a build: the digest of each, and one digest of all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from smforge.bake.artefacts import files_below
from smforge.bake.inputs.published import published_of
from smforge.bake.inputs.rootfs import root_file_systems
from smforge.matrix.place import BAKE_FILE, PACKAGE
from smforge.plan.document import cell_document
from smforge.plan.records import Cell
from smforge.version import __version__

CONTEXTS = "docker"
"""The folder of a project in which the contexts of docker-bake.hcl lie, but for those that the host
makes and the programs of this package."""
_PROGRAMS = PACKAGE / "inventory" / "probing" / "programs"

CELL, SMFORGE, MATRIX = "cell", "smforge", "matrix"
"""The names of inputs that are no files of a context."""


def inputs_of(
    cell: Cell,
    root: Path,
    matrix: Path,
    policies: Iterable[Path] = (),
    checkout: Path | None = None,
) -> dict[str, str]:
    """The SHA-256 of everything that decides what a cell's artefacts are and whether they pass.

    That is, by name: this version of smforge, the resolved cell and what its root file systems are
    made of, docker-bake.hcl, the matrix, every file of CONTEXTS, the programs that run within an
    image, a checkout that takes the place of a release (all its files, with their names, as one),
    and the policies; where a published wheel is taken, also this package, which makes the shipped
    wheel from it. What else the host adds (job counts, certificates) does not count.
    """
    found = {
        CELL: _sha256(json.dumps(cell_document(cell), sort_keys=True).encode()),
        SMFORGE: _sha256(__version__.encode()),
    }
    for variable, rootfs in root_file_systems(cell).items():
        found[variable] = _sha256(rootfs.directory_name.encode())
    for name, file in (
        (BAKE_FILE, root / BAKE_FILE),
        (MATRIX, matrix),
        *((file.relative_to(root).as_posix(), file) for file in files_below(root / CONTEXTS)),
        *(
            (f"programs/{file.relative_to(_PROGRAMS).as_posix()}", file)
            for file in files_below(_PROGRAMS)
        ),
        *((f"policy {number} {file.name}", file) for number, file in enumerate(policies, start=1)),
    ):
        if file.is_file():
            found[name] = _sha256(file.read_bytes())
    if published_of(cell):
        found["smforge's own source"] = _tree_digest(PACKAGE)
    if checkout is not None:
        found["checkout"] = _tree_digest(checkout)
    return found


def inputs_digest(inputs: Mapping[str, str]) -> str:
    """One SHA-256 over all inputs, as `inputs_of` gives them."""
    return _sha256(json.dumps(sorted(inputs.items())).encode())


def _tree_digest(tree: Path) -> str:
    digest = hashlib.sha256()
    for file in files_below(tree):
        _add(digest, file.relative_to(tree).as_posix(), file.read_bytes())
    return digest.hexdigest()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _add(digest: hashlib._Hash, name: str, content: bytes) -> None:
    """Add one named thing so that no two sequences of things read the same."""
    digest.update(f"{name}\0{len(content)}\0".encode())
    digest.update(content)
