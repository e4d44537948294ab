"""What a build is made from, as one digest, and whether its artefacts are still what they were."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from smforge import __version__
from smforge.bake.command import BAKE_FILE
from smforge.bake.host import root_file_systems
from smforge.bake.record import Artefact, RunRecord
from smforge.plan.document import cell_document
from smforge.plan.records import Cell

CONTEXTS = ("docker", "builder/smforge/inventory/probing/programs")
"""Where the contexts of docker-bake.hcl lie, but for those that the host makes."""
_IGNORED_DIRECTORIES = frozenset({"__pycache__", ".git"})


def inputs_digest(
    cell: Cell,
    root: Path,
    matrix: Path,
    policies: Iterable[Path] = (),
    checkout: Path | None = None,
) -> str:
    """SHA-256 over everything that decides what a cell's artefacts are and whether they pass.

    That is: this version of smforge, the resolved cell and what its root file systems are made
    of, docker-bake.hcl, the matrix, every file of CONTEXTS and in a checkout that takes the place
    of a release, with their names, and the policies. What else the host adds (job counts,
    certificates) does not count.
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
        *(
            (str(file.relative_to(root)), file)
            for place in CONTEXTS
            for file in _files(root / place)
        ),
        *(("policy", file) for file in policies),
        *_checkout_files(checkout),
    ):
        if file.is_file():
            _add(digest, name, file.read_bytes())
    return digest.hexdigest()


def artefacts_in(directory: Path, besides: Iterable[str] = ()) -> tuple[Artefact, ...]:
    """Every file below `directory` with its digest, but those named in `besides`."""
    left_out = frozenset(besides)
    return tuple(
        Artefact(path=name, sha256=_sha256(file), size=file.stat().st_size)
        for file in _files(directory)
        if (name := file.relative_to(directory).as_posix()) not in left_out
    )


def intact(record: RunRecord, directory: Path) -> bool:
    """Whether every recorded artefact still lies in `directory` with its recorded digest."""
    return all(_is_intact(artefact, directory / artefact.path) for artefact in record.artefacts)


def _is_intact(artefact: Artefact, file: Path) -> bool:
    try:
        return file.stat().st_size == artefact.size and _sha256(file) == artefact.sha256
    except OSError:
        return False


def _checkout_files(checkout: Path | None) -> Iterator[tuple[str, Path]]:
    if checkout is not None:
        for file in _files(checkout):
            yield f"checkout/{file.relative_to(checkout)}", file


def _add(digest: hashlib._Hash, name: str, content: bytes) -> None:
    """Add one named thing so that no two sequences of things read the same."""
    digest.update(f"{name}\0{len(content)}\0".encode())
    digest.update(content)


def _files(directory: Path) -> Iterator[Path]:
    for path in sorted(directory.rglob("*")):
        inside = path.relative_to(directory).parts
        if path.is_file() and not _IGNORED_DIRECTORIES.intersection(inside):
            yield path


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
