"""Finds cuobjdump and asks for its version."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from smforge.errors import ToolError
from smforge.inventory.sandbox import Bounds, capture

_DISTRIBUTION = "nvidia-cuda-cuobjdump"
_FAMILY = re.compile(rb"'sm_\d+f'")
_VERSION = re.compile(rb"release [\d.]+, V([\d.]+)")


@dataclass(frozen=True, slots=True)
class Cuobjdump:
    """One cuobjdump program."""

    path: Path
    version: str
    """As it says itself: ``13.5.37``."""
    tells_families: bool
    """Whether it prints the suffix f. Releases before 12.9 print ``sm_120`` for ``sm_120f``, so
    what they call plain may be either."""


@cache
def locate() -> Cuobjdump:
    """Return the cuobjdump of the Python package, else the one on PATH.

    Raises `ToolError` where there is none or it does not run.
    """
    path = _packaged() or shutil.which("cuobjdump")
    if path is None:
        raise ToolError(
            "There is no cuobjdump on this machine.",
            remedy=f"Install the Python package {_DISTRIBUTION}, or use --backend native.",
        )
    return examine(Path(path))


def examine(path: Path) -> Cuobjdump:
    """Ask a cuobjdump what it is. Raises `ToolError` where it does not say."""
    _, usage = capture([str(path), "--help"], Bounds(seconds=30))
    return Cuobjdump(path, _version(path), _FAMILY.search(usage) is not None)


def _packaged() -> Path | None:
    try:
        files = metadata.distribution(_DISTRIBUTION).files or ()
    except metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.name == "cuobjdump":
            path = Path(str(file.locate())).resolve()
            return path if path.is_file() else None
    return None


def _version(path: Path) -> str:
    run, output = capture([str(path), "--version"], Bounds(seconds=30))
    match = _VERSION.search(output)
    if run.status != 0 or match is None:
        raise ToolError(
            f"{path} does not tell its version; {run.explain()}.",
            remedy=f"Reinstall {_DISTRIBUTION}, or use --backend native.",
        )
    return match[1].decode()
