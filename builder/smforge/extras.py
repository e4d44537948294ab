"""What the installation ``smforge[build]`` adds, and the sentence where it is missing.

``smforge`` alone reads, audits and compares. What only builds, preflight and CI pipelines need
comes with the extra ``build`` (pyproject.toml, ``optional-dependencies``). Each place that needs
such a package imports it within `from_build_extra`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

from smforge.errors import ToolError

INSTALL = "pip install 'smforge[build]'"
"""The command that installs what is missing."""
MODULES = ("cmake", "jinja2", "ninja", "python_on_whales", "regex", "yaml")
"""The modules of the extra's packages. A test compares them with pyproject.toml."""


@contextmanager
def from_build_extra(purpose: str) -> Iterator[None]:
    """Import packages of the extra ``build`` within this.

    `purpose` is the subject of the sentence: ``The CI pipeline``. Raises `ToolError` where a
    package of the extra is not installed; any other import error passes through.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in MODULES:
            raise
        raise missing(purpose, error.name) from error


def require_build_extra(purpose: str, *modules: str) -> None:
    """Raise `ToolError` where one of these modules, which another program imports, is missing."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise missing(purpose, module)


def missing_modules() -> tuple[str, ...]:
    """The modules of the extra that are not installed."""
    return tuple(one for one in MODULES if importlib.util.find_spec(one) is None)


def missing(purpose: str, module: str) -> ToolError:
    """The error for a module of the extra that is not installed."""
    return ToolError(
        f"{purpose} needs the Python package {module}, which is not installed: it belongs to "
        "smforge's extra 'build'.",
        remedy=f"Install it: {INSTALL}.",
    )
