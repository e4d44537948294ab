"""Checks of the sources of other projects that a build needs."""

from __future__ import annotations

from collections.abc import Iterator

from smforge.errors import ConfigurationError
from smforge.matrix import paths
from smforge.matrix.paths import Path
from smforge.matrix.shape.externals import AnyExternal, ArchiveExternal, OfIndex, Packed

_ENDINGS = {"wheel": ".whl", "sdist": ".tar.gz"}


def check_external(path: Path, external: AnyExternal) -> Iterator[ConfigurationError]:
    """What contradicts itself in one project's sources, those nested in it included."""
    if isinstance(external, Packed):
        yield from _check_packed(path, external)
    for place, nested in external.nested.items():
        where = (*path, "nested", place)
        if nested.extensions is not None:
            yield _problem(
                (*where, "extensions"),
                "these sources are part of another project's tree.",
                "Name the extensions at that project alone.",
            )
        yield from check_external(where, nested)


def _check_packed(path: Path, external: Packed) -> Iterator[ConfigurationError]:
    if isinstance(external, ArchiveExternal) and (external.url is None) == (external.path is None):
        yield _problem(
            path,
            "an archive needs one place that it comes from.",
            "Name either its 'url', or its 'path' from the directory of this file.",
        )
    if external.subdirectory is not None and external.layout:
        yield _problem(
            (*path, "layout"),
            "it has a 'subdirectory' too, and both say which part of the file is meant.",
            "Leave one of them out.",
        )
    if isinstance(external, OfIndex):
        kind = str(getattr(external, "kind", ""))
        if not external.file.endswith(_ENDINGS[kind]):
            other = next(one for one in _ENDINGS if one != kind)
            yield _problem(
                (*path, "file"),
                f"{external.file} is no {kind}.",
                f"Write the kind '{other}', or name a file that ends in {_ENDINGS[kind]}.",
            )


def _problem(path: Path, message: str, remedy: str) -> ConfigurationError:
    return ConfigurationError(f"{paths.render(path)}: {message}", remedy=remedy)
