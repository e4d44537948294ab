"""Which external sources a build of vLLM needs, and which stand-ins it uses for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from smforge.matrix.models import AnyExternal, GitExternal, Vllm, VllmSource, WheelExternal
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
        )
    location = external.file if isinstance(external, WheelExternal) else external.url
    return PlannedExternal(
        name,
        external.kind,
        location,
        external.sha256,
        release,
        external.subdirectory,
        None,
        instead_of,
    )


def _release(external: AnyExternal) -> str | None:
    if isinstance(external, GitExternal):
        return external.tag or external.commit
    if isinstance(external, WheelExternal):
        return f"{external.distribution} {external.version}"
    return None
