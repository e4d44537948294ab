"""Questions to a matrix: its components, where they come from, and the names of toolkits."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from smforge.matrix.models import ArchLists, Components, FromEither, Source, Sources, Toolkit

COMPILED = ("flashinfer", "vllm", "lmcache")
"""Components that can be compiled; the others have published wheels alone, taken as they are."""


def components_of(components: Components) -> Iterator[str]:
    """The names of the components that a variant has, in the flow's order."""
    for name in type(components).model_fields:
        if getattr(components, name) is not None:
            yield name


def lists_of(components: Components) -> Iterator[tuple[str, ArchLists]]:
    """The components of a variant that are compiled, with their arch lists per platform."""
    for name in COMPILED:
        component = getattr(components, name)
        if component is not None and not is_published(component) and component.archs is not None:
            yield name, component.archs


def is_published(component: object) -> bool:
    """Whether a component that could be compiled is taken from its published wheel."""
    return isinstance(component, FromEither) and component.from_ == "published"


def source_of(sources: Sources, component: str, cuda: str) -> Source | None:
    """The release of a component for a CUDA version (``13.0.2``), or None where there is none."""
    source: Source | dict[str, Source] = getattr(sources, component)
    if isinstance(source, Source):
        return source
    return source.get(cuda.split(".", maxsplit=1)[0])


def cuda_tag(cuda: str) -> str:
    """The name of a CUDA release in wheel versions: ``cu130`` for 13.0.2."""
    major, minor, *_ = cuda.split(".")
    return f"cu{major}{minor}"


def torch_tag(toolkit: Toolkit) -> str:
    """The CUDA build of a toolkit's torch, as wheel versions name it."""
    return toolkit.torch_build or cuda_tag(toolkit.cuda)


def closest(word: str, known: Iterable[str]) -> str:
    """A sentence that helps with a misspelt name."""
    names = list(known)
    match = difflib.get_close_matches(word, names, n=1)
    return f"Did you mean {match[0]}?" if match else f"Known are {', '.join(names)}."
