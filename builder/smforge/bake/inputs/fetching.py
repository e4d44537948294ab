"""Fetches sources of other projects on the host, each held against its pin.

A site without the outer network names a mirror: a directory with the files, by their name or their
SHA-256, and with bare repositories (git_sources.py). When there is one, nothing else is asked.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from smforge.bake.inputs.git_sources import check_out
from smforge.bake.inputs.index_file import download_of_index
from smforge.bake.inputs.origin import Origin, in_mirror, unreachable
from smforge.bake.inputs.unpacking import merge, unpack
from smforge.errors import BuildFailedError, ConfigurationError
from smforge.files import sha256_of
from smforge.plan.records import PlannedExternal


@dataclass(frozen=True, slots=True)
class Files:
    """The files that were brought while several externals are fetched: one may serve many."""

    folder: Path
    brought: dict[str, Path] = field(default_factory=dict)


def fetch(
    external: PlannedExternal, origin: Origin, into: Path, files: Files | None = None
) -> None:
    """Lay the sources of `external` out in `into`, which must not exist yet.

    Raises `ConfigurationError` where it is not pinned and `BuildFailedError` where it cannot be
    had or is not what the pin says.
    """
    if external.pin is None:
        raise ConfigurationError(
            f"The sources of {external.name} ({external.release}) are not pinned to a commit.",
            remedy=f"Look it up with 'git ls-remote {external.location} {external.release}' and "
            f"write it to versions.json, sources.vllm.externals.{external.name}.commit.",
        )
    with tempfile.TemporaryDirectory(dir=into.parent, prefix=".fetching-") as name:
        work = Path(name)
        files = files or Files(work)
        if external.kind == "git":
            made = work / "checked-out"
            check_out(external, external.pin, origin, made)
        else:
            made = unpack(_file_of(external, external.pin, origin, files), external, work)
        for number, nested in enumerate(external.nested):
            _nest(nested, origin, files, work / f"nested-{number}", made)
        made.rename(into)


def _nest(nested: PlannedExternal, origin: Origin, files: Files, fetched: Path, tree: Path) -> None:
    """Put sources into the tree that they belong to."""
    fetch(nested, origin, fetched, files)
    inside = (tree / nested.name).parent.resolve()
    if not inside.is_relative_to(tree.resolve()):
        raise BuildFailedError(
            f"{nested.name}, the place of nested sources, leads out of their project through a "
            "link.",
            remedy="Correct the place in versions.json.",
        )
    merge(fetched, tree / nested.name, lambda path: BuildFailedError(
        f"{nested.location} belongs at {nested.name}, and {path} is there already.",
        remedy="Take the nested sources out of versions.json: these sources have their own.",
    ))  # fmt: skip


def _file_of(external: PlannedExternal, pin: str, origin: Origin, files: Files) -> Path:
    """The file of an external, brought once and held against its SHA-256."""
    if pin in files.brought:
        return files.brought[pin]
    folder = Path(tempfile.mkdtemp(dir=files.folder, prefix="file-"))
    archive = folder / PurePosixPath(urlsplit(external.location).path).name
    _bring(external, origin, archive)
    if (digest := sha256_of(archive)) != pin:
        raise BuildFailedError(
            f"{archive.name}, the sources of {external.name}, has the SHA-256 {digest}, "
            f"but {pin} is pinned.",
            remedy="Do not use this file; find out who changed it.",
        )
    files.brought[pin] = archive
    return archive


def _bring(external: PlannedExternal, origin: Origin, archive: Path) -> None:
    if external.kind == "archive" and "://" not in external.location:
        _copy_of_project(external, origin, archive)
    elif origin.mirror is not None:
        names = (archive.name, str(external.pin))
        what = f"the sources of {external.name}"
        shutil.copyfile(in_mirror(origin.mirror, names, what, external.location), archive)
    elif external.kind == "archive":
        _download(external, origin, archive)
    else:
        distribution = str(external.release).partition(" ")[0]
        if (why := download_of_index(distribution, origin, archive)) is not None:
            raise unreachable(external, why)


def _copy_of_project(external: PlannedExternal, origin: Origin, archive: Path) -> None:
    place = (origin.project or Path.cwd()) / external.location
    if not place.is_file():
        raise BuildFailedError(
            f"{place}, the sources of {external.name}, is no file.",
            remedy="Put it there, or correct 'path' in versions.json.",
        )
    shutil.copyfile(place, archive)


def _download(external: PlannedExternal, origin: Origin, archive: Path) -> None:
    from smforge.bake.inputs.address import (  # noqa: PLC0415  # defers http
        download_of_address,
    )

    why = download_of_address(external.location, origin.ca_bundle, archive)
    if why is not None:
        raise unreachable(external, why)
