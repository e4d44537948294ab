"""Cells that compile the same: in which order they are built, and which of them wait for others.

Compilations are shared through a compile cache that knows every target by itself
(docs/building.md). What cells share is counted from the matrix and from data/weights.json alone,
so it is the same on every machine and is known before any source is there.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from smforge.plan.records import Cell
from smforge.workflow.farm.weights import Piece, cell_minutes, pieces_of

_DATA = Path(__file__).parent / "data" / "waiting.json"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A cell that is built after others, and why."""

    cell: str
    after: tuple[str, ...]
    """The cells that compile what it then finds, by name."""
    saved: float
    """About how many CPU minutes it then need not compile."""
    whole: float
    """About how many CPU minutes it takes from nothing."""


def in_order(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """The cells so that those which compile the same are neighbours, the lightest of them first.

    The second then finds what the first compiled before other compilations push it out of a cache
    that is full. Other cells stay where they are. Where no cost is known, nothing is moved.
    """
    pieces = {cell.name: pieces_of(cell) or {} for cell in cells}
    groups = _groups(pieces)
    first: dict[str, int] = {}
    for place, cell in enumerate(cells):
        first.setdefault(groups[cell.name], place)
    weight = {name: sum(minutes.values()) for name, minutes in pieces.items()}
    return tuple(sorted(cells, key=lambda one: (first[groups[one.name]], weight[one.name])))


def waiting(cells: Sequence[Cell]) -> tuple[Waiting, ...]:
    """The cells that should wait for others where machines work at the same time.

    Only for machines that share a compile cache. A cell waits where it saves CPU time enough and
    delays the end of both little in comparison (data/waiting.json); it waits for cells that wait
    for none, so there are two stages. The lighter cell is built first, because the heavier one
    loses nothing by it. Where the cost of any cell is not known, no cell waits.
    """
    known = {cell.name: pieces_of(cell) for cell in cells}
    if any(pieces is None for pieces in known.values()):
        return ()
    pieces = {name: found or {} for name, found in known.items()}
    weights = {name: sum(found.values()) for name, found in pieces.items()}
    first: list[str] = []
    found: list[Waiting] = []
    for name in sorted(pieces, key=lambda one: (weights[one], one)):
        one = _waiting(name, first, pieces, weights)
        if one is None:
            first.append(name)
        else:
            found.append(one)
    return tuple(found)


def _waiting(
    name: str,
    first: Sequence[str],
    pieces: Mapping[str, Mapping[Piece, float]],
    weights: Mapping[str, float],
) -> Waiting | None:
    """What a cell waits for, of the cells of the first stage; None where it does not pay."""
    rule = _rule()
    own = pieces[name]
    covered: set[Piece] = set()
    after: list[str] = []
    for other in sorted(first, key=lambda one: (-_minutes(own, pieces[one].keys()), one)):
        more = covered | (own.keys() & pieces[other].keys())
        gain = _minutes(own, more - covered)
        if gain < rule["least_minutes"]:
            continue
        saved = _minutes(own, more)
        before = max(weights[one] for one in (*after, other))
        delay = before + weights[name] - saved - max(before, weights[name])
        if delay <= rule["most_delay"] * saved:
            covered = more
            after.append(other)
    if not after:
        return None
    return Waiting(
        name, tuple(sorted(after)), _minutes(own, covered), cell_minutes() + weights[name]
    )


def _minutes(pieces: Mapping[Piece, float], chosen: Any) -> float:
    return sum(minutes for piece, minutes in pieces.items() if piece in chosen)


def _groups(pieces: Mapping[str, Mapping[Piece, float]]) -> dict[str, str]:
    """For each cell the name of its group: cells that share a piece, directly or through others."""
    root = {name: name for name in pieces}

    def group(name: str) -> str:
        while root[name] != name:
            root[name] = root[root[name]]
            name = root[name]
        return name

    holders: defaultdict[Piece, list[str]] = defaultdict(list)
    for name, found in pieces.items():
        for piece in found:
            holders[piece].append(name)
    for first, *others in holders.values():
        for other in others:
            root[group(other)] = group(first)
    return {name: group(name) for name in pieces}


@cache
def _rule() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(_DATA.read_text(encoding="utf-8"))
    return table
