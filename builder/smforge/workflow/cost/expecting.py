"""What a cell is expected to cost that is built now, from the units that preflight has found."""

from __future__ import annotations

from collections.abc import Iterator

from smforge.bake.cost_record import Bounds, ExpectedCost, ExpectedTarget
from smforge.plan.records import Cell
from smforge.preflight.cell import CellPreflight, examinable
from smforge.workflow.cost.figures import Seconds, component_seconds
from smforge.workflow.cost.price import price_of_cell, priced_build, wall_of
from smforge.workflow.cost.units import contents_found


def expected_cost(cell: Cell, found: CellPreflight, jobs: int) -> ExpectedCost | None:
    """Price a cell for a builder with `jobs` compilers at once; None where nothing has a price.

    Nothing is read but preflight's result, so this takes no time and cannot fail.
    """
    contents = dict(contents_found(found).values())
    cost = price_of_cell(cell, contents, jobs)
    if not cost.seconds.high:
        return None
    return ExpectedCost(
        passes=cost.priced.passes,
        cpu_seconds=_bounds(cost.seconds),
        jobs=jobs,
        wall_seconds=_bounds(cost.wall),
        not_in_it=cost.not_known,
        targets=dict(_targets(cell, found, jobs)),
    )


def compiling_targets(cell: Cell) -> tuple[str, ...]:
    """The bake targets of a cell that compile."""
    # A component is a bake target of its name, or one for each of its own targets.
    names = [one.name for one in cell.components if one.archs]
    starts = tuple(f"{name}-sm" for name in names)
    return tuple(one for one in cell.targets if one in names or one.startswith(starts))


def _targets(cell: Cell, found: CellPreflight, jobs: int) -> Iterator[tuple[str, ExpectedTarget]]:
    for name, (build, content) in contents_found(found).items():
        priced = priced_build(build, content)
        whole = not (priced.not_measured or content.not_examined or content.refused)
        if priced.seconds.high:
            yield name, _target(priced.seconds, priced.longest, jobs, whole=whole)
    examined = {one.name for one in examinable(cell)}
    for one in cell.components:
        seconds = component_seconds(one.name) if one.archs else None
        if seconds is not None and one.name not in examined:
            yield one.name, _target(seconds, 0.0, jobs, whole=True)


def _target(seconds: Seconds, longest: float, jobs: int, *, whole: bool) -> ExpectedTarget:
    return ExpectedTarget(
        cpu_seconds=_bounds(seconds),
        wall_seconds=_bounds(wall_of(seconds, longest, jobs)),
        whole=whole,
    )


def _bounds(seconds: Seconds) -> Bounds:
    return round(seconds.low, 1), round(seconds.high, 1)
