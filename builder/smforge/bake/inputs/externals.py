"""The sources that vLLM's CMake would clone, fetched before the build and kept.

Each project is kept once per pin. What one build needs is a directory of hard links to them, laid
out as CMake's FetchContent expects it: ``NAME-src``.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from smforge.bake.inputs.origin import Origin
from smforge.files import cache_folder
from smforge.plan.records import Cell, PlannedExternal

_NAME_DIGITS = 12


def externals_of(cell: Cell) -> tuple[PlannedExternal, ...]:
    """Everything that the components of a cell need of other projects."""
    return tuple(external for one in cell.components for external in one.externals)


def default_store() -> Path:
    """Where fetched sources are kept."""
    return cache_folder("sources")


def directory_of(externals: Sequence[PlannedExternal], store: Path) -> Path:
    """Where `ensure_externals` lays these out: another place for any other pin."""
    return store / "sets" / _digest([(one.name, _tree_name(one)) for one in externals])


def ensure_externals(
    externals: Sequence[PlannedExternal],
    store: Path,
    origin: Origin,
    *,
    announce: Callable[[str], None] = lambda _: None,
) -> Path:
    """Return the directory with all of `externals`, fetching what is not there yet.

    Raises what `smforge.bake.inputs.fetching.fetch` raises; what is there is there whole.
    """
    directory = directory_of(externals, store)
    if directory.is_dir():
        return directory
    from filelock import FileLock  # noqa: PLC0415  # defers filelock

    from smforge.bake.inputs.fetching import Files, fetch  # noqa: PLC0415  # defers tarfile

    for place in ("trees", "sets"):
        (store / place).mkdir(parents=True, exist_ok=True)
    with (
        FileLock(store / ".lock"),
        tempfile.TemporaryDirectory(dir=store, prefix=".files-") as folder,
    ):
        files = Files(Path(folder))
        for external in externals:
            tree = store / "trees" / _tree_name(external)
            if not tree.is_dir():
                announce(
                    f"fetching the sources of {external.name} {external.release or ''}".strip()
                )
                fetch(external, origin, tree, files)
        if not directory.is_dir():
            _lay_out(externals, store, directory)
    return directory


def kept_sources(externals: Sequence[PlannedExternal], store: Path) -> dict[str, Path]:
    """The sources of those projects that were fetched before, by the project's name."""
    found = ((one.name, store / "trees" / _tree_name(one)) for one in externals)
    return {name: tree for name, tree in found if tree.is_dir()}


def _lay_out(externals: Sequence[PlannedExternal], store: Path, directory: Path) -> None:
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".making-") as work:
        made = Path(work) / directory.name
        made.mkdir()
        for external in externals:
            shutil.copytree(
                store / "trees" / _tree_name(external),
                made / f"{external.name}-src",
                symlinks=True,
                copy_function=os.link,
            )
        made.rename(directory)


def _tree_name(external: PlannedExternal) -> str:
    """Equal for sources that are the same, wherever they come from."""
    return f"{external.name}-{_digest(_facts(external))}"


def _facts(external: PlannedExternal) -> tuple[object, ...]:
    rare = (
        *external.layout,
        *external.holds,
        *((one.name, _facts(one)) for one in external.nested),
    )
    facts = (external.kind, external.pin, external.subdirectory, external.submodules)
    return (*facts, rare) if rare else facts


def _digest(facts: object) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:_NAME_DIGITS]
