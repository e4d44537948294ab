"""Follows kernels from one side to the other.

A kernel keeps its name, in the same library or in another. If a name no longer exists, a new name
of the same family replaces it: a release that adds a template argument has not lost a kernel. What
then has no counterpart was removed, or added.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from smforge.report.diff.sides import Library, same_family, same_name
from smforge.verdict.kernels import Embedded


class Change(StrEnum):
    """The ways in which kernels changed."""

    SAME = "same"
    MOVED = "moved"
    REPLACED = "replaced"
    REMOVED = "removed"
    ADDED = "added"


@dataclass(frozen=True, slots=True)
class Item:
    """The kernels of one name in one library."""

    library: Library
    key: str
    """Of the library: equal on both sides where it is the same one."""
    name: str
    embedded: Counter[Embedded]

    @property
    def family(self) -> str:
        return same_family(self.name)


@dataclass(frozen=True, slots=True)
class Pair:
    """Kernels of the old side and how they changed."""

    change: Change
    old: tuple[Item, ...]
    new: tuple[Item, ...]

    @property
    def either(self) -> tuple[Item, ...]:
        return self.old or self.new


Key = Callable[[Item], Hashable]

_BY_NAME: tuple[tuple[Change, Key], ...] = (
    (Change.SAME, lambda one: (one.key, same_name(one.name))),
    (Change.MOVED, lambda one: same_name(one.name)),
)
_BY_FAMILY: tuple[tuple[Change, Key], ...] = (
    (Change.REPLACED, lambda one: (one.key, one.family)),
    (Change.REPLACED, lambda one: one.family),
)


def follow(old: Iterable[Item], new: Iterable[Item]) -> Iterator[Pair]:
    """Pair kernels by name and then by family, and yield what has no counterpart alone."""
    return _follow(tuple(old), tuple(new), (*_BY_NAME, *_BY_FAMILY))


def follow_names(old: Iterable[Item], new: Iterable[Item]) -> Iterator[Pair]:
    """Pair kernels by name alone: a kernel of another name is another kernel."""
    return _follow(tuple(old), tuple(new), _BY_NAME)


def _follow(
    old: Sequence[Item], new: Sequence[Item], ways: Sequence[tuple[Change, Key]]
) -> Iterator[Pair]:
    for change, key in ways:
        before, after = _grouped(old, key), _grouped(new, key)
        both = before.keys() & after.keys()
        for one in before:
            if one in both:
                yield Pair(change, tuple(before[one]), tuple(after[one]))
        old = [item for one, items in before.items() if one not in both for item in items]
        new = [item for one, items in after.items() if one not in both for item in items]
    for item in old:
        yield Pair(Change.REMOVED, (item,), ())
    for item in new:
        yield Pair(Change.ADDED, (), (item,))


def _grouped(items: Iterable[Item], key: Key) -> dict[Hashable, list[Item]]:
    groups: dict[Hashable, list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups
