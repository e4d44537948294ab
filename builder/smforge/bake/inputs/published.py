"""The published wheels that a cell takes in place of a compilation, fetched once and kept.

Each is held against its SHA-256. A build hands the engine one folder with them, so that no step of
it fetches a wheel again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from smforge.bake.inputs.origin import Origin, in_mirror
from smforge.errors import BuildFailedError
from smforge.files import cache_folder, sha256_of
from smforge.plan.records import Cell, PlannedComponent, PublishedWheel

_NAME_DIGITS = 12


def published_of(cell: Cell) -> tuple[PlannedComponent, ...]:
    """The components of a cell whose published wheel is taken in place of a compilation."""
    return tuple(one for one in cell.components if one.published is not None)


def default_store() -> Path:
    """Where fetched wheels are kept."""
    return cache_folder("published")


def wheel_path(wheel: PublishedWheel, store: Path) -> Path:
    """Where `ensure_published` puts a wheel."""
    return store / "wheels" / wheel.sha256 / wheel.file


def directory_of(cell: Cell, store: Path) -> Path:
    """Where `ensure_published` lays a cell's wheels out: ``vllm/…whl``, ``lmcache/…whl``."""
    facts = [(one.name, one.published.sha256) for one in published_of(cell) if one.published]
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    return store / "sets" / digest[:_NAME_DIGITS]


def ensure_published(
    cell: Cell,
    store: Path,
    origin: Origin,
    *,
    announce: Callable[[str], None] = lambda _: None,
) -> dict[str, Path]:
    """Fetch the published wheels of a cell that are not there yet; return them by component.

    Raises `BuildFailedError` where one cannot be fetched or is not what the matrix pins; what is
    there is there whole.
    """
    components = published_of(cell)
    if not components:
        return {}
    from filelock import FileLock  # noqa: PLC0415  # defers filelock

    found: dict[str, Path] = {}
    for place in ("wheels", "sets"):
        (store / place).mkdir(parents=True, exist_ok=True)
    with FileLock(store / ".lock"):
        for one in components:
            assert one.published is not None
            found[one.name] = wheel_path(one.published, store)
            if not found[one.name].is_file():
                announce(f"fetching {one.published.file}")
                _fetch(one, one.published, origin, found[one.name])
        directory = directory_of(cell, store)
        if not directory.is_dir():
            _lay_out(found, directory)
    return found


def _lay_out(wheels: dict[str, Path], directory: Path) -> None:
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".making-") as work:
        made = Path(work) / directory.name
        for name, wheel in wheels.items():
            (made / name).mkdir(parents=True)
            os.link(wheel, made / name / wheel.name)
        made.rename(directory)


def _fetch(component: PlannedComponent, wheel: PublishedWheel, origin: Origin, place: Path) -> None:
    with tempfile.TemporaryDirectory(dir=place.parents[1], prefix=".fetching-") as work:
        brought = Path(work) / wheel.file
        if origin.mirror is None:
            _download(component, wheel, origin, brought)
        else:
            names = (wheel.file, wheel.sha256)
            what = f"the wheel of {component.name}"
            shutil.copyfile(in_mirror(origin.mirror, names, what, "this wheel"), brought)
        if (digest := sha256_of(brought)) != wheel.sha256:
            raise BuildFailedError(
                f"{wheel.file} has the SHA-256 {digest}, but {wheel.sha256} is pinned.",
                remedy="Do not use this file; find out who changed it.",
            )
        place.parent.mkdir(exist_ok=True)
        brought.rename(place)


def _download(
    component: PlannedComponent, wheel: PublishedWheel, origin: Origin, brought: Path
) -> None:
    from smforge.bake.inputs.index_file import download_of_index  # noqa: PLC0415  # defers fetching

    if (why := download_of_index(component.name, origin, brought)) is not None:
        raise BuildFailedError(
            f"{wheel.file} cannot be fetched: {why}.",
            remedy="Check pip's index settings, or name a directory that has it with "
            "SMFORGE_SOURCES_MIRROR.",
        )
