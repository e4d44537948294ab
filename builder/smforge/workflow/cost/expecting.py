"""What a cell is expected to cost that is built now, from the units that preflight has found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from smforge.arch.target import Target
from smforge.bake.compilations import Compilations
from smforge.bake.cost_record import Bounds, ExpectedCost, ExpectedTarget
from smforge.plan.records import Cell
from smforge.preflight.cell import CellPreflight, examinable
from smforge.workflow.cost.figures import Seconds, component_seconds
from smforge.workflow.cost.price import price_between, price_of_cell, priced_build, wall_of
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


def compiled_anew(
    found: CellPreflight, compiled: Mapping[str, Compilations | None], jobs: int
) -> dict[str, ExpectedTarget]:
    """The price of what bake targets compiled anew, where a cache had the rest; by bake target.

    A bake target is left out where the cost of its step without the passes is not known, and where
    the cache counted something else than the passes.
    """
    prices = {}
    for name, (build, content) in contents_found(found).items():
        if (step := compiled.get(name)) is None:
            continue
        passes = Counter(one.target for one in content.passes)
        misses = {
            target: between
            for target, number in passes.items()
            if (between := _misses(step, Target.parse(target), number))
        }
        priced = price_between(build, content, misses)
        if priced is not None and not (content.not_examined or content.refused):
            prices[name] = _target(priced.seconds, priced.longest, jobs, whole=True)
    return prices


def _misses(compiled: Compilations, target: Target, passes: int) -> tuple[int, int] | None:
    """How many passes of a target were compiled, at least and at most.

    A pass is compiled to PTX and to machine code, and either may come from the cache. None where
    these are not as many as there are passes, or the cache could not take or keep some.
    """
    counts = [compiled.targets.get(name) for name in (target.compute, target.sm)]
    known = [one for one in counts if one is not None]
    if compiled.not_cached or compiled.errors or not known:
        return None
    if any(one.hits + one.misses != passes for one in known):
        return None
    return min(one.misses for one in known), max(one.misses for one in known)


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
