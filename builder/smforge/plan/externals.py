"""Which external sources a build of vLLM needs, and which stand-ins it uses for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from smforge.matrix.models import Vllm, VllmSource
from smforge.matrix.shape.externals import (
    AnyExternal,
    ArchiveExternal,
    GitExternal,
    OfIndex,
    Packed,
)
from smforge.plan.records import PlannedExternal


def externals_for(source: VllmSource, component: Vllm) -> Iterator[PlannedExternal]:
    """The external sources that the compiled extensions need, in the order of versions.json."""
    for name, external in source.externals.items():
        if not _needed(external, component):
            continue
        if name in component.stand_ins:
            stand_in = _planned(name, source.stand_ins[name], instead_of=_release(external))
            yield replace(stand_in, extensions=external.extensions or ())
        else:
            yield replace(_planned(name, external), extensions=external.extensions or ())


def _needed(external: AnyExternal, component: Vllm) -> bool:
    if external.extensions is None or component.extensions is None:
        return True
    return not set(external.extensions).isdisjoint(component.extensions)


def _planned(name: str, external: AnyExternal, instead_of: str | None = None) -> PlannedExternal:
    release = _release(external)
    nested = tuple(_planned(place, one) for place, one in external.nested.items())
    if isinstance(external, GitExternal):
        return PlannedExternal(
            name,
            "git",
            external.url,
            external.commit,
            release,
            None,
            external.submodules,
            instead_of,
            nested=nested,
        )
    return PlannedExternal(
        name,
        external.kind,
        _location(external),
        external.sha256,
        release,
        external.subdirectory,
        None,
        instead_of,
        layout=tuple(external.layout.items()),
        holds=tuple(one for one in (external.tag, external.commit) if one),
        nested=nested,
    )


def _location(external: Packed) -> str:
    if isinstance(external, ArchiveExternal):
        return external.url or external.path or ""
    assert isinstance(external, OfIndex)
    return external.file


def _release(external: AnyExternal) -> str | None:
    if isinstance(external, OfIndex):
        return f"{external.distribution} {external.version}"
    return external.tag or external.commit
