"""How heavy a cell is against others, from smforge's own figures alone.

Machines that share a matrix divide it by these weights, so nothing of one machine (its records,
its caches) may count here.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from smforge.plan.records import Cell, PlannedComponent

_DATA = Path(__file__).parent / "data" / "weights.json"


def weight_of(cell: Cell) -> float | None:
    """About how many CPU minutes a cell takes from nothing; None where no figure is known."""
    total = float(_table()["cell_minutes"])
    for component in cell.components:
        if component.archs:
            minutes = _minutes(component)
            if minutes is None:
                return None
            total += minutes
    return total


def _minutes(component: PlannedComponent) -> float | None:
    for row in _table()["rows"]:
        if _applies(row, component):
            return float(row["minutes_per_target"]) * max(1, len(component.targets))
    return None


def _applies(row: dict[str, Any], component: PlannedComponent) -> bool:
    if row["component"] != component.name:
        return False
    return all(component.settings.get(key) == value for key, value in row["settings"].items())


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(_DATA.read_text(encoding="utf-8"))
    return table
