"""The difference of two matrices, value by value, as people read it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from smforge.matrix.models import Document
from smforge.matrix.paths import Path, render


@dataclass(frozen=True, slots=True)
class Change:
    """One value of the matrix that changes. Files are named; their hashes are in the matrix."""

    path: str
    """As error messages show it: ``$.sources.vllm.version``."""
    before: str | None
    """None for what is new."""
    after: str | None
    """None for what is taken out."""


def changes_between(before: Document, after: Document) -> Iterator[Change]:
    """The changes, in the order of the file.

    The block of bake's defaults is left out: it repeats other values.
    """
    yield from _changes((), before.model_dump(mode="json"), after.model_dump(mode="json"))


def _changes(path: Path, before: Any, after: Any) -> Iterator[Change]:
    if before == after or path == ("variable",):
        return
    if path and path[-1] == "files":
        yield from _files(path, before or {}, after or {})
    elif isinstance(before or after, dict):
        old, new = before or {}, after or {}
        for key in dict.fromkeys((*old, *new)):
            yield from _changes((*path, key), old.get(key), new.get(key))
    else:
        yield Change(render(path), _said(before), _said(after))


def _files(path: Path, before: dict[str, str], after: dict[str, str]) -> Iterator[Change]:
    old = [name for name in before if before[name] != after.get(name)]
    new = [name for name in after if after[name] != before.get(name)]
    for one, other in zip_longest(old, new):
        yield Change(render(path), one, other)


def _said(value: Any) -> str | None:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return None if value is None else str(value)
