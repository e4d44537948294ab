"""Finds the files that a matrix is built with: docker-bake.hcl, docker/ and the locks of images."""

from __future__ import annotations

from pathlib import Path

BAKE_FILE = "docker-bake.hcl"
PACKAGE = Path(__file__).resolve().parents[1]
"""The folder of this package, wherever it is installed."""
_SHIPPED = "project"
"""The folder in the installed package that pyproject.toml puts docker/ and its companions in."""


def shipped_project() -> Path:
    """The project that came with smforge: docker-bake.hcl, docker/, tools/engine, versions.json.

    It is package data where smforge is installed, and else the checkout itself.
    """
    installed = PACKAGE / _SHIPPED
    return installed if installed.is_dir() else PACKAGE.parents[1]


def build_root(matrix: Path) -> Path:
    """The checkout that a matrix is built with.

    That is the nearest directory with docker-bake.hcl: the directory of the matrix or one above
    it, else the current directory or one above it. Where there is none, it is the directory of the
    matrix, and bake says what it lacks there.
    """
    own = matrix.resolve().parent
    here = Path.cwd()
    for place in (own, *own.parents, here, *here.parents):
        if (place / BAKE_FILE).is_file():
            return place
    return own
