"""The figures that a plan is priced with, and which of them applies to what."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from smforge.plan.records import PlannedComponent

_DATA = Path(__file__).parent / "data" / "costs.json"


@dataclass(frozen=True, slots=True)
class Seconds:
    """CPU seconds between two bounds, and how many of them are only estimated."""

    low: float = 0.0
    high: float = 0.0
    estimated: float = 0.0
    """The part of `high` that no clock has measured."""

    def __add__(self, other: Seconds) -> Seconds:
        return Seconds(
            self.low + other.low, self.high + other.high, self.estimated + other.estimated
        )

    def divided(self, count: int) -> Seconds:
        """An equal part of them."""
        return Seconds(self.low / count, self.high / count, self.estimated / count)


@dataclass(frozen=True, slots=True)
class UnitFigure:
    """The figure of some units."""

    seconds: Seconds
    per_extension: bool
    """Whether it is for all units of an extension together; else for each."""


@cache
def unit_figure(component: str, extension: str) -> UnitFigure | None:
    """The figure of the units of an extension for one target; None where none is known."""
    for row in _table()["units"]:
        if row["component"] == component and fnmatchcase(extension, row["extension"]):
            return UnitFigure(_seconds(row), row["per"] == "extension")
    return None


def step_seconds(component: str) -> Seconds:
    """What a compiling step costs in addition to its passes; nothing where it was not measured."""
    rows = _table()["steps"]
    return next((_seconds(row) for row in rows if row["component"] == component), Seconds())


def component_seconds(component: str) -> Seconds | None:
    """What a component costs whose units are not examined; None where it is not known."""
    rows = _table()["components"]
    return next((_seconds(row) for row in rows if row["component"] == component), None)


def wheel_bytes(component: PlannedComponent) -> int | None:
    """Bytes of the wheels of a component of a cell; None where it is not known."""
    for row in _table()["bytes"]:
        settings = row["settings"].items()
        same = all(component.settings.get(key) == value for key, value in settings)
        if row["component"] == component.name and same:
            targets = len(component.targets) if row["per"] == "target" else 1
            return int(row["bytes"]) * targets
    return None


def once() -> tuple[Seconds, int]:
    """Wall seconds and bytes of what a machine makes once, before anything is compiled."""
    row = _table()["once"]
    return Seconds(*row["seconds"]), int(row["bytes"])


def total(parts: Iterable[Seconds]) -> Seconds:
    """The sum."""
    found = Seconds()
    for part in parts:
        found += part
    return found


def _seconds(row: dict[str, Any]) -> Seconds:
    low, high = row["cpu_seconds"]
    return Seconds(low, high, high if row["basis"] == "estimated" else 0.0)


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(_DATA.read_text(encoding="utf-8"))
    return table
