"""Prices the cells of a plan: each for itself, and all of them where compilations are shared."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from smforge.bake.cost_record import CostRecord
from smforge.bake.host.job_limits import gib_per_job, job_limits
from smforge.plan.records import Cell
from smforge.preflight.cell import examinable
from smforge.workflow.cost.figures import (
    Seconds,
    component_seconds,
    step_seconds,
    total,
    unit_figure,
    wheel_bytes,
)
from smforge.workflow.cost.means import Means
from smforge.workflow.cost.units import Build, Content, Family, Pass, builds_of_cell


@dataclass(frozen=True, slots=True)
class Last:
    """What the last verified build of a cell took, from its record."""

    seconds: float | None
    """Wall time; None where any of it came from a cache."""
    wheels: int
    """Bytes."""
    cost: CostRecord | None = None
    """What its compilations were expected to cost, compared with what they took."""


@dataclass(frozen=True, slots=True)
class Priced:
    """The price of some passes."""

    passes: int
    seconds: Seconds
    """Of those that have a figure."""
    not_measured: int
    """How many have none."""
    longest: float
    """The most CPU seconds that one of them may take."""


@dataclass(frozen=True, slots=True)
class CellCost:
    """What one cell costs from nothing."""

    cell: Cell
    units: int
    priced: Priced
    others: Seconds
    """Of components whose units are not examined."""
    not_known: tuple[str, ...]
    """What has no cost in it: components, external projects of theirs, published wheels, which
    are rewritten for the cell's devices."""
    jobs: int
    wheels: int | None
    """Bytes of the wheels; None where a component's are not known."""
    last: Last | None

    @property
    def seconds(self) -> Seconds:
        """CPU seconds of everything that has a figure."""
        return self.priced.seconds + self.others

    @property
    def is_measured(self) -> bool:
        """Whether there is a figure for any of it, or nothing to be compiled."""
        return self.seconds.high > 0 or not (self.priced.not_measured or self.not_known)

    @property
    def wall(self) -> Seconds:
        """Wall seconds with `jobs` compilers at once, never less than the longest pass."""
        return wall_of(self.seconds, self.priced.longest, self.jobs)


def wall_of(cpu: Seconds, longest: float, jobs: int) -> Seconds:
    """Wall seconds of some CPU time with `jobs` compilers at once; `longest` is one pass's."""
    return Seconds(cpu.low / jobs, max(cpu.high / jobs, longest), 0.0)


@dataclass(frozen=True, slots=True)
class Shared:
    """The units of one component over all cells."""

    family: Family
    cells: int
    by_target: Mapping[str, tuple[int, int]]
    """Per target, how many passes all cells make, and how many of them are different."""
    all: Priced
    once: Priced
    """Where every pass is made once, whatever cell needs it, in a step of each build."""


@dataclass(frozen=True, slots=True)
class PlanCost:
    """What a plan costs."""

    means: Means
    cells: tuple[CellCost, ...]
    shared: tuple[Shared, ...]
    failed: Mapping[Family, str]
    """Why the sources of a family could not be examined."""


def price(
    cells: Sequence[Cell],
    contents: Mapping[Build, Content],
    failed: Mapping[Family, str],
    means: Means,
    last: Mapping[str, Last],
) -> PlanCost:
    """Price cells. `last` has their last builds by the cell's name."""
    prices = {build: priced_build(build, content) for build, content in contents.items()}
    built = {cell.name: builds_of_cell(cell) for cell in cells}
    return PlanCost(
        means=means,
        cells=tuple(
            _cell_cost(
                cell,
                built[cell.name],
                contents,
                prices,
                job_limits(means.cores, means.memory_bytes, gib_per_job(cell)).jobs,
                last.get(cell.name),
            )
            for cell in cells
        ),
        shared=tuple(_shared(built.values(), contents, prices)),
        failed=failed,
    )


def price_of_cell(cell: Cell, contents: Mapping[Build, Content], jobs: int) -> CellCost:
    """Price one cell, for a builder that runs `jobs` compilers at once."""
    prices = {build: priced_build(build, content) for build, content in contents.items()}
    return _cell_cost(cell, builds_of_cell(cell), contents, prices, jobs, None)


def _cell_cost(  # noqa: PLR0913, PLR0917  # what is known of a cell
    cell: Cell,
    builds: Sequence[Build],
    contents: Mapping[Build, Content],
    prices: Mapping[Build, Priced],
    jobs: int,
    last: Last | None,
) -> CellCost:
    there = [build for build in builds if build in prices]
    examined = {component.name for component in examinable(cell)}
    others = {one.name: component_seconds(one.name) for one in cell.components if one.archs}
    not_known = [build.family.component for build in builds if build not in prices]
    not_known += [name for build in there for name in contents[build].not_examined]
    not_known += [
        f"{build.family.component} for {build.archs} (its sources refuse it)"
        for build in there
        if contents[build].refused
    ]
    not_known += [name for name, cost in others.items() if name not in examined and cost is None]
    published = [one.name for one in cell.components if one.published is not None]
    not_known += [f"the published wheel of {name}" for name in published]
    sizes = [wheel_bytes(one) for one in cell.components if one.archs or one.published]
    return CellCost(
        cell=cell,
        units=sum(contents[build].units for build in there),
        priced=_sum(prices[build] for build in there),
        others=total(cost for name, cost in others.items() if name not in examined and cost),
        not_known=tuple(dict.fromkeys(not_known)),
        jobs=jobs,
        wheels=None if None in sizes else sum(size for size in sizes if size is not None),
        last=last,
    )


def priced_build(build: Build, content: Content) -> Priced:
    """The price of all passes of a build, and of the step that makes them."""
    component = build.family.component
    by_extension = _by_extension(content)
    passes = (
        _price_of(component, extension, count, count)
        # Sorted, as sums of floats depend on their order, and a set has none.
        for (extension, _target), count in sorted(by_extension.items())
    )
    return _sum((*passes, *_steps(component, 1 if by_extension else 0)))


def price_between(
    build: Build, content: Content, misses: Mapping[str, tuple[int, int]]
) -> Priced | None:
    """The price of a build that compiles only some of its passes, and finds the others in a cache.

    `misses` says for each target how many passes it compiles: at least, at most. As nobody says
    which, the lower bound is of the cheapest and the upper of the dearest. None where that cannot
    be said: a pass or the step itself has no price, or there is a target that `misses` lacks.
    """
    component = build.family.component
    step = step_seconds(component)
    by_target: defaultdict[str, list[Priced]] = defaultdict(list)
    for (extension, target), count in _by_extension(content).items():
        by_target[target] += [_price_of(component, extension, 1, count)] * count
    passes = [one for each in by_target.values() for one in each]
    if not step.high or any(one.not_measured for one in passes) or by_target.keys() - misses.keys():
        return None
    low, high = step.low, step.high
    for target, each in by_target.items():
        least, most = misses[target]
        low += sum(sorted(one.seconds.low for one in each)[:least])
        high += sum(sorted((one.seconds.high for one in each), reverse=True)[:most])
    number = sum(misses[target][1] for target in by_target)
    return Priced(number, Seconds(low, high), 0, max((one.longest for one in passes), default=0.0))


def _by_extension(content: Content) -> Mapping[tuple[str, str], int]:
    return Counter((one.extension, one.target) for one in content.passes)


def _steps(component: str, count: int) -> Iterable[Priced]:
    """The price of compiling steps beside their passes."""
    return (Priced(0, step_seconds(component), 0, 0.0) for _ in range(count))


@cache
def _price_of(component: str, extension: str, passes: int, whole: int) -> Priced:
    """The price of some passes of an extension for one target; `whole` are all of them."""
    figure = unit_figure(component, extension)
    if figure is None:
        return Priced(passes, Seconds(), passes, 0.0)
    each = figure.seconds.divided(whole) if figure.per_extension else figure.seconds
    seconds = Seconds(each.low * passes, each.high * passes, each.estimated * passes)
    return Priced(passes, seconds, 0, each.high)


def _sum(parts: Iterable[Priced]) -> Priced:
    passes, not_measured, longest = 0, 0, 0.0
    low = high = estimated = 0.0
    for part in parts:
        passes += part.passes
        not_measured += part.not_measured
        longest = max(longest, part.longest)
        low += part.seconds.low
        high += part.seconds.high
        estimated += part.seconds.estimated
    return Priced(passes, Seconds(low, high, estimated), not_measured, longest)


def _shared(
    built: Iterable[Sequence[Build]],
    contents: Mapping[Build, Content],
    prices: Mapping[Build, Priced],
) -> Iterable[Shared]:
    # Cells are many and different builds are few, so a family is made once per build.
    families = {build: build.family.whole for build in contents}
    times: defaultdict[Family, Counter[Build]] = defaultdict(Counter)
    cells: Counter[Family] = Counter()
    for builds in built:
        there = [(families[build], build) for build in builds if build in families]
        cells.update({family for family, _ in there})
        for family, build in there:
            times[family][build] += 1
    for family, counts in times.items():
        different: set[Pass] = set()
        by_target: Counter[str] = Counter()
        whole: Counter[tuple[str, str]] = Counter()
        for build, count in counts.items():
            passes = contents[build].passes
            different |= passes
            for target, number in Counter(one.target for one in passes).items():
                by_target[target] += number * count
            for pair, number in Counter((one.extension, one.target) for one in passes).items():
                whole[pair] = max(whole[pair], number)
        once = Counter(one.target for one in different)
        steps = sum(count for build, count in counts.items() if contents[build].passes)
        pairs = Counter((one.extension, one.target) for one in different)
        yield Shared(
            family=family,
            cells=cells[family],
            by_target={target: (by_target[target], once[target]) for target in sorted(once)},
            all=_sum(prices[build] for build, count in counts.items() for _ in range(count)),
            once=_sum(
                (
                    *(
                        _price_of(family.component, extension, number, whole[extension, target])
                        for (extension, target), number in sorted(pairs.items())
                    ),
                    # A step runs also where all of its passes are in the cache.
                    *_steps(family.component, steps),
                )
            ),
        )
