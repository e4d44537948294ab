"""Whether a variant can be built on its base: what the Debian suite of the base allows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from packaging.version import Version

from smforge.errors import ConfigurationError, ImpossibleCellError
from smforge.matrix import paths
from smforge.matrix.lookup import COMPILED, components_of, source_of
from smforge.matrix.models import PackagesBase, RegistryBase, Sources, Toolkit, Variant
from smforge.matrix.wheels import installs

_DATA = Path(__file__).parent / "data" / "suites.json"


def check_base(
    sources: Sources,
    path: paths.Path,
    variant: Variant,
    chosen: tuple[Toolkit, RegistryBase | PackagesBase],
) -> Iterator[ConfigurationError]:
    """What a variant asks for and its base does not have.

    `path` is that of the variant in the matrix, `chosen` its toolkit and its base.
    """
    toolkit, base = chosen
    images = image_suite()
    if isinstance(base, RegistryBase):
        if variant.image is not None:
            yield _impossible(
                (*path, "image"),
                "an image is built from Debian packages, and the base of this variant comes "
                "from a registry.",
                "Use a base from packages, or leave the image out.",
            )
        return
    if variant.image is not None and base.suite != images:
        yield _impossible(
            (*path, "image"),
            f"an image is built from Debian {images}, and the base of this variant is Debian "
            f"{base.suite}.",
            f"Use a base with the suite {images}, or leave the image out.",
        )
    if (python := _python(base.suite)) is None:
        return
    if Version(python) < Version(oldest := _table()["oldest_python"]):
        yield _impossible(
            (*path, "base"),
            f"Debian {base.suite} has Python {python}, and torch is published for {oldest} and "
            "newer.",
            "Use a base with a newer suite.",
        )
        return
    yield from _check_published(sources, path, variant, (toolkit, python))


def _check_published(
    sources: Sources, path: paths.Path, variant: Variant, chosen: tuple[Toolkit, str]
) -> Iterator[ConfigurationError]:
    """Components that are taken as published need a wheel for the Python of the base."""
    toolkit, python = chosen
    for name in components_of(variant.components):
        source = source_of(sources, name, toolkit.cuda)
        if name in COMPILED or source is None:
            continue
        if not any(installs(file, python) for file in source.files):
            yield _impossible(
                (*path, "components", name),
                f"none of the files of {source.distribution} {source.version} is for Python "
                f"{python}, which the base of this variant has.",
                f"Add such a wheel to the files, or leave {name} out.",
            )


def python_of(base: RegistryBase | PackagesBase) -> str | None:
    """The Python of a base (``3.13``); None where it is not known."""
    return _python(base.suite) if isinstance(base, PackagesBase) else None


def image_suite() -> str:
    """The Debian suite that images are built from."""
    suite: str = _table()["images"]
    return suite


def _python(suite: str) -> str | None:
    python: str | None = _table()["suites"].get(suite, {}).get("python")
    return python


def _impossible(path: paths.Path, message: str, remedy: str) -> ImpossibleCellError:
    return ImpossibleCellError(f"{paths.render(path)}: {message}", remedy=remedy)


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(_DATA.read_text(encoding="utf-8"))
    return table
