"""Whether a component says what its origin needs: lists for sources, a wheel where it is published.

The two ways have different keys, and each key that belongs to the other way is refused, so that
nobody reads a list that has no effect.
"""

from __future__ import annotations

from collections.abc import Iterator

from smforge.errors import ConfigurationError, ImpossibleCellError
from smforge.matrix import paths
from smforge.matrix.bases import python_of
from smforge.matrix.lookup import COMPILED, is_published
from smforge.matrix.models import FromEither, PackagesBase, RegistryBase, Source, Sources, Variant
from smforge.matrix.wheels import wheel_for

_OF_SOURCE = ("archs", "extensions", "stand_ins")


def check_origins(
    sources: Sources,
    path: paths.Path,
    variant: Variant,
    base: RegistryBase | PackagesBase | None,
) -> Iterator[ConfigurationError]:
    """What the components of a variant say too much or too little.

    `path` is that of the variant in the matrix, `base` None where the variant names none that is
    there.
    """
    for name in COMPILED:
        component = getattr(variant.components, name)
        if not isinstance(component, FromEither):
            continue
        where = (*path, "components", name)
        if not is_published(component):
            yield from _check_source(where, component)
            continue
        yield from _check_published(where, component)
        if base is not None:
            source: Source = getattr(sources, name)
            yield from _check_wheels(where, source, variant, python_of(base))


def _check_source(where: paths.Path, component: FromEither) -> Iterator[ConfigurationError]:
    if component.archs is None:
        yield ConfigurationError(
            f"{paths.render((*where, 'archs'))}: this is missing.",
            remedy='Add it, or take the wheel of the index: "from": "published".',
        )
    if component.repair is not None:
        yield ConfigurationError(
            f"{paths.render((*where, 'repair'))}: only a published wheel is repaired.",
            remedy='Take it out, or write "from": "published".',
        )


def _check_published(where: paths.Path, component: FromEither) -> Iterator[ConfigurationError]:
    for key in _OF_SOURCE:
        if getattr(component, key, None):
            why = (
                "the devices of a published wheel are those in require"
                if key == "archs"
                else "a published wheel is not compiled"
            )
            yield ConfigurationError(
                f"{paths.render((*where, key))}: {why}.",
                remedy='Take this out, or write "from": "source".',
            )


def _check_wheels(
    where: paths.Path, source: Source, variant: Variant, python: str | None
) -> Iterator[ConfigurationError]:
    for platform in variant.require:
        if wheel_for(source.files, platform, python) is None:
            which = f"for Python {python}" if python else "for every Python"
            yield ImpossibleCellError(
                f"{paths.render(where)}: none of the files of {source.distribution} "
                f"{source.version} is a wheel for {platform} and {which}.",
                remedy='Add its name and SHA-256 to the files, or write "from": "source".',
            )
