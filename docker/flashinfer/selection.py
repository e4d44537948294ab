"""Which modules a selection means."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

SELECTIONS = Path(__file__).parent / "selections.json"


class SelectionError(Exception):
    """A selection is unknown, or does not fit what FlashInfer generates."""


def patterns_of(name: str, table: Mapping[str, Sequence[str]]) -> list[str]:
    """The patterns of a selection, those of the selections that it includes first."""
    if name not in table:
        known = ", ".join(key for key in table if key != "about")
        raise SelectionError(f"There is no selection {name!r}; selections.json has {known}.")
    patterns: list[str] = []
    for word in table[name]:
        patterns += patterns_of(word[1:], table) if word.startswith("@") else [word]
    return patterns


def choose(names: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """The names that match a pattern, in their order. Every pattern has to match something."""
    names = list(names)
    idle = [p for p in patterns if not any(fnmatchcase(name, p) for name in names)]
    if idle:
        raise SelectionError(
            f"FlashInfer generates no module called {', '.join(idle)} for this architecture."
        )
    return [name for name in names if any(fnmatchcase(name, p) for p in patterns)]


def load(path: Path = SELECTIONS) -> dict[str, list[str]]:
    """The table of selections."""
    table: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8"))
    return table
