"""Finds the files that a matrix is built with: docker-bake.hcl, docker/ and the locks of images.

They lie in a project: a checkout, or a folder that `smforge init` has laid out.
"""

from __future__ import annotations

from pathlib import Path

from smforge.errors import ConfigurationError

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


def require_bake_file(matrix: Path) -> Path:
    """The root that a matrix is built with. Raises `ConfigurationError` without a bake file."""
    root = build_root(matrix)
    if not (root / BAKE_FILE).is_file():
        raise ConfigurationError(
            f"There is no {BAKE_FILE} in {root} or a folder above it, and a build needs one.",
            remedy="Make a project with 'smforge init DIR'; it has one, with docker/.",
        )
    return root


def build_root(matrix: Path) -> Path:
    """The project that a matrix is built with.

    That is the nearest directory with docker-bake.hcl: the directory of the matrix or one above
    it, else the current directory or one above it. Where there is none, it is the directory of the
    matrix.
    """
    own = matrix.resolve().parent
    here = Path.cwd()
    for place in (own, *own.parents, here, *here.parents):
        if (place / BAKE_FILE).is_file():
            return place
    return own
