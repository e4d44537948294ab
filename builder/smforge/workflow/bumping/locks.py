"""The locks of an image's packages that a changed matrix makes stale."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from smforge.matrix.lookup import cuda_tag
from smforge.matrix.models import Document, Source
from smforge.workflow.plan_check import LOCKS


@dataclass(frozen=True, slots=True)
class StaleLocks:
    """The locks of one CUDA release that have to be resolved anew."""

    pyproject: Path
    """What they are resolved from."""
    text: str
    """Its new text, with the new versions."""
    locks: tuple[Path, ...]
    """The locks beside it; all are resolved together."""


def stale_locks(root: Path, before: Document, after: Document) -> tuple[StaleLocks, ...]:
    """The locks below a checkout that were resolved from versions that change."""
    return tuple(_stale(root, before, after))


def _stale(root: Path, before: Document, after: Document) -> Iterator[StaleLocks]:
    for file in sorted((root / LOCKS).glob("*/pyproject.toml")):
        text = file.read_bytes().decode("utf-8")  # with the line ends that it has
        renewed = text
        old, new = _pins(before, file.parent.name), _pins(after, file.parent.name)
        for name in old.keys() & new.keys():
            renewed = renewed.replace(f'"{name}=={old[name]}"', f'"{name}=={new[name]}"')
        if renewed != text:
            yield StaleLocks(file, renewed, tuple(sorted(file.parent.glob("*.txt"))))


def _pins(document: Document, tag: str) -> dict[str, str]:
    """Per distribution the version that a matrix has for a CUDA release."""
    found: dict[str, str] = {}
    for toolkit in document.toolkits.values():
        if cuda_tag(toolkit.cuda) == tag:
            found["torch"] = toolkit.torch
    for component in type(document.sources).model_fields:
        source: Source | dict[str, Source] = getattr(document.sources, component)
        each = [source] if isinstance(source, Source) else list(source.values())
        found |= {one.distribution: one.version for one in each}
    return found
