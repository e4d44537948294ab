"""The words that findings about sources share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_NAMES_SHOWN = 3


def count(sources: Sequence[str]) -> str:
    """``1 source``, ``7 sources``, of a list."""
    return count_of(len(sources))


def count_of(number: int) -> str:
    """The same of a number."""
    return "1 source" if number == 1 else f"{number} sources"


def are_or_is(sources: Sequence[str]) -> str:
    """The verb that follows `count`."""
    return "is" if len(sources) == 1 else "are"


def listed(sources: Iterable[str]) -> str:
    """The first few names, and how many more there are."""
    names = sorted(set(sources))
    shown = ", ".join(names[:_NAMES_SHOWN])
    rest = len(names) - _NAMES_SHOWN
    return f"{shown} and {rest} more" if rest > 0 else shown


def joined(things: Iterable[object]) -> str:
    """``12.0``, ``10.0 and 12.0``, ``8.0, 10.0 and 12.0``."""
    *most, last = map(str, things)
    return f"{', '.join(most)} and {last}" if most else last
