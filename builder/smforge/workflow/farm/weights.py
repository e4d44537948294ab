"""How heavy a cell is against others, from smforge's own figures alone.

Machines that share a matrix divide it by these weights, so nothing of one machine (its records,
its caches) may count here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from smforge.arch.platforms import PROCESSORS
from smforge.plan.records import Cell, PlannedBase, PlannedComponent

_DATA = Path(__file__).parent / "data" / "weights.json"


@dataclass(frozen=True, slots=True)
class Piece:
    """The sources of one component for one target: what cells may share through a compile cache."""

    component: str
    version: str
    cuda: str
    base: PlannedBase
    """Its compilers and headers."""
    processor: str
    settings: tuple[tuple[str, str], ...]
    """Which of its extensions or modules are built."""
    target: str | None
    """None for a component that names none."""


def weight_of(cell: Cell) -> float | None:
    """About how many CPU minutes a cell takes from nothing; None where no figure is known."""
    pieces = pieces_of(cell)
    return None if pieces is None else cell_minutes() + sum(pieces.values())


def cell_minutes() -> float:
    """About how many CPU minutes any cell takes beside what it compiles."""
    return float(_table()["cell_minutes"])


def pieces_of(cell: Cell) -> Mapping[Piece, float] | None:
    """What a cell compiles, with CPU minutes from nothing; None where a figure is not known."""
    found: dict[Piece, float] = {}
    for component in cell.components:
        if component.archs:
            minutes = _minutes_per_target(component)
            if minutes is None:
                return None
            found |= dict.fromkeys(_pieces(cell, component), minutes)
    return found


def _pieces(cell: Cell, component: PlannedComponent) -> tuple[Piece, ...]:
    targets = tuple(map(str, component.targets)) or (None,)
    settings = tuple(sorted(component.settings.items()))
    processor = PROCESSORS[cell.platform]
    return tuple(
        Piece(
            component.name,
            component.version,
            cell.toolkit.cuda,
            cell.base,
            processor,
            settings,
            target,
        )
        for target in targets
    )


def _minutes_per_target(component: PlannedComponent) -> float | None:
    for row in _table()["rows"]:
        if _applies(row, component):
            return float(row["minutes_per_target"])
    return None


def _applies(row: dict[str, Any], component: PlannedComponent) -> bool:
    if row["component"] != component.name:
        return False
    return all(component.settings.get(key) == value for key, value in row["settings"].items())


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(_DATA.read_text(encoding="utf-8"))
    return table
