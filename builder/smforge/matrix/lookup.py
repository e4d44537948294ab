"""Questions to a matrix: its components, where they come from, and the names of toolkits."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from smforge.matrix.models import Components, Source, Sources

COMPILED = ("flashinfer", "vllm", "lmcache")
"""Components with an arch list of their own; the others are taken as published."""


def components_of(components: Components) -> Iterator[str]:
    """The names of the components that a variant has, in the flow's order."""
    for name in type(components).model_fields:
        if getattr(components, name) is not None:
            yield name


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


def closest(word: str, known: Iterable[str]) -> str:
    """A sentence that helps with a misspelt name."""
    names = list(known)
    match = difflib.get_close_matches(word, names, n=1)
    return f"Did you mean {match[0]}?" if match else f"Known are {', '.join(names)}."
