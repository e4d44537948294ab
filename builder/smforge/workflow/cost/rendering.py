"""The price of a plan as text for people and as plain data for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from smforge.amounts import clock_text, size_text
from smforge.arch.target import Target
from smforge.version import __version__
from smforge.workflow.cost.figures import Seconds, once, total
from smforge.workflow.cost.price import CellCost, Last, PlanCost, Priced, Shared

SCHEMA_VERSION = 1
_GIB = 1 << 30
_NOT_MEASURED = "not measured"


def cost_text(cost: PlanCost) -> str:
    """The price for people: units by component, a line per cell, and the whole."""
    parts = [
        _columns(_UNIT_HEADINGS, [row for one in cost.shared for row in _unit_rows(one)]),
        _columns(_CELL_HEADINGS, [_cell_row(one) for one in cost.cells]),
        "\n".join(_closing(cost)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def cost_document(cost: PlanCost) -> dict[str, Any]:
    """The same as plain data. Times are seconds, [low, high]; null is what is not known."""
    making, made = once()
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "smforge", "version": __version__},
        "means": {"cores": cost.means.cores, "memory_bytes": cost.means.memory_bytes},
        "once_per_machine": {"wall_seconds": [making.low, making.high], "bytes": made},
        "components": [_component(one) for one in cost.shared],
        "not_examined": [
            {"component": family.component, "version": family.version, "why": why}
            for family, why in cost.failed.items()
        ],
        "cells": [_cell(one) for one in cost.cells],
    }


_UNIT_HEADINGS = ("component", "CUDA", "CPU", "target", "cells", "passes", "different")
_CELL_HEADINGS = (
    *("cell", "units", "passes", "CPU hours", "jobs", "wall", "wheels", "last build"),
    *("passes not measured", "not in it"),
)


_FLUSH_LEFT = frozenset({"component", "CUDA", "CPU", "target", "cell", "not in it"})


def _unit_rows(one: Shared) -> Iterator[tuple[str, ...]]:
    family = one.family
    name = f"{family.component} {family.version}"
    for target in sorted(one.by_target, key=Target.parse):
        passes, different = one.by_target[target]
        numbers = (str(one.cells), f"{passes:,}", f"{different:,}")
        yield (name, family.cuda, family.processor, target, *numbers)


def _cell_row(one: CellCost) -> tuple[str, ...]:
    return (
        f"{one.cell.variant} {one.cell.platform}",
        f"{one.units:,}",
        f"{one.priced.passes:,}",
        _hours(one.seconds) if one.is_measured else _NOT_MEASURED,
        str(one.jobs),
        _between(one.wall) if one.is_measured else _NOT_MEASURED,
        _NOT_MEASURED if one.wheels is None else size_text(one.wheels),
        _last(one.last),
        f"{one.priced.not_measured:,}" if one.priced.not_measured else "",
        ", ".join(one.not_known),
    )


def _last(last: Last | None) -> str:
    """How long the last build took."""
    if last is None:
        return ""
    return "from a cache" if last.seconds is None else clock_text(last.seconds)


def _closing(cost: PlanCost) -> Iterator[str]:
    seconds = total(one.seconds for one in cost.cells)
    wall = total(one.wall for one in cost.cells)
    passes = sum(one.priced.passes for one in cost.cells)
    lacking = sum(one.priced.not_measured for one in cost.cells)
    memory = cost.means.memory_bytes / _GIB
    cells = "1 cell" if len(cost.cells) == 1 else f"{len(cost.cells):,} cells"
    yield (
        f"{cells}, from nothing: {passes:,} passes, {_hours(seconds)} CPU hours{_share(seconds)}, "
        f"{_between(wall)} one cell after the other with {cost.means.cores} cores and "
        f"{memory:.0f} GiB."
    )
    different = sum(one.once.passes for one in cost.shared)
    shared = total(one.once.seconds for one in cost.shared)
    if different < passes:
        yield (
            f"Of these passes {different:,} are different: with one compile cache for all cells, "
            f"{_hours(shared)} CPU hours for what is examined."
        )
    making, made = once()
    yield (
        f"Before it, once per machine: {_between(making)} and {size_text(made)} on the engine, for "
        "the base, its toolkit and torch."
    )
    if lacking:
        yield f"Not in it: {lacking:,} passes that are not measured."
    if names := dict.fromkeys(name for one in cost.cells for name in one.not_known):
        yield f"Not in it: {', '.join(names)}, whose cost is not known."
    for one in cost.cells:
        if one.last is not None and one.last.cost is not None:
            yield f"Last build of {one.cell.title}: {one.last.cost.text}."
    for family, why in cost.failed.items():
        yield f"{family.component} {family.version} was not examined: {why}"


def _component(one: Shared) -> dict[str, Any]:
    family = one.family
    return {
        "component": family.component,
        "version": family.version,
        "cuda": family.cuda,
        "cpu": family.processor,
        "cells": one.cells,
        "targets": {
            target: {"passes": passes, "different": different}
            for target, (passes, different) in one.by_target.items()
        },
        "all": _priced(one.all),
        "different": _priced(one.once),
    }


def _cell(one: CellCost) -> dict[str, Any]:
    last = one.last
    return {
        "cell": one.cell.name,
        "variant": one.cell.variant,
        "platform": one.cell.platform,
        "units": one.units,
        **_priced(one.priced),
        "cpu_seconds": [one.seconds.low, one.seconds.high],
        "jobs": one.jobs,
        "wall_seconds": [one.wall.low, one.wall.high],
        "wheel_bytes": one.wheels,
        "not_known": list(one.not_known),
        "last": last
        and {
            "wall_seconds": last.seconds,
            "wheel_bytes": last.wheels,
            "cost": last.cost and last.cost.model_dump(mode="json"),
        },
    }


def _priced(one: Priced) -> dict[str, Any]:
    return {
        "passes": one.passes,
        "passes_not_measured": one.not_measured,
        "cpu_seconds": [one.seconds.low, one.seconds.high],
        "of_which_estimated": one.seconds.estimated,
    }


def _hours(seconds: Seconds) -> str:
    low, high = seconds.low / 3600, seconds.high / 3600
    digits = 1 if high >= 1 else 2
    texts = f"{low:,.{digits}f}", f"{high:,.{digits}f}"
    return texts[0] if texts[0] == texts[1] else " to ".join(texts)


def _between(seconds: Seconds) -> str:
    texts = clock_text(seconds.low), clock_text(seconds.high)
    return texts[0] if texts[0] == texts[1] else " to ".join(texts)


def _share(seconds: Seconds) -> str:
    if not seconds.estimated:
        return ""
    return f" ({100 * seconds.estimated / seconds.high:.0f} % of it estimated, not measured)"


def _columns(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of fixed columns, without those that are empty."""
    # rich takes seconds for 2,000 rows.
    if not rows:
        return ""
    kept = [index for index in range(len(headings)) if any(row[index] for row in rows)]
    lines = [headings, *rows]
    widths = {index: max(len(line[index]) for line in lines) for index in kept}

    def justified(line: Sequence[str], index: int) -> str:
        text, width = line[index], widths[index]
        return text.ljust(width) if headings[index] in _FLUSH_LEFT else text.rjust(width)

    return "\n".join("  ".join(justified(line, i) for i in kept).rstrip() for line in lines)
