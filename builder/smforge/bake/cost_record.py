"""What a build's compilations were expected to cost, and how far off that was."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from smforge.amounts import clock_text
from smforge.bake.compilations import Compilations

_HOUR = 3600

Seconds = Annotated[float, Field(ge=0)]
Bounds = tuple[Seconds, Seconds]
Deviation = Annotated[
    float,
    Field(
        ge=-1,
        description="A part of the nearer bound: 0.1 where it took a tenth more than the upper "
        "one, -0.1 where a tenth less than the lower one, 0 between them.",
    ),
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ExpectedTarget(_Strict):
    """The price of what one bake target compiles."""

    cpu_seconds: Annotated[Bounds, Field(description="Between these two.")]
    wall_seconds: Bounds
    whole: Annotated[
        bool, Field(description="Whether everything that it compiles has a figure in it.")
    ]


class ExpectedCost(_Strict):
    """What compiling a cell from nothing was expected to cost, as `smforge plan --cost` says it."""

    passes: Annotated[int, Field(ge=0, description="Sources, each once for every target.")]
    cpu_seconds: Annotated[Bounds, Field(description="Between these two, of what has a figure.")]
    jobs: Annotated[int, Field(ge=1, description="Compilers at once.")]
    wall_seconds: Bounds
    not_in_it: Annotated[
        tuple[str, ...], Field(description="What has no figure, or is not compiled from sources.")
    ] = ()
    targets: Annotated[
        dict[str, ExpectedTarget], Field(description="By bake target; those that have a figure.")
    ] = {}


class Compared(_Strict):
    """What some bake targets were expected to cost, and what their compiling steps took."""

    targets: tuple[str, ...]
    from_cache: Annotated[
        dict[str, str],
        Field(
            description="Those of them that a cache helped, with how much of it: `10 of 36`. What "
            "is expected of these is the price of the other compilations."
        ),
    ] = {}
    expected_cpu_seconds: Bounds
    took_cpu_seconds: Seconds
    cpu_off_by: Deviation
    expected_wall_seconds: Bounds
    took_wall_seconds: Seconds
    wall_off_by: Deviation


class CostRecord(ExpectedCost):
    """The same, compared with what it took."""

    compared: Annotated[
        Compared | None, Field(description="Null where no bake target could be compared.")
    ] = None
    not_compared: Annotated[
        dict[str, str], Field(description="Bake targets that compile, each with the reason.")
    ] = {}

    @property
    def text(self) -> str:
        """A sentence for people."""
        if (found := self.compared) is None:
            expected = f"predicted {_hours(self.cpu_seconds)} CPU hours from nothing"
            reasons = "; ".join(self._not_compared())
            return f"{expected}, not comparable: {reasons}" if reasons else expected
        cpu = _said(found.cpu_off_by)
        wall = _said(found.wall_off_by)
        hours = found.took_cpu_seconds
        text = (
            f"predicted {_hours(found.expected_cpu_seconds)} CPU hours, "
            f"took {_hours((hours, hours))} ({cpu}); "
            f"predicted {_clock(found.expected_wall_seconds)} with {self.jobs} "
            f"{'job' if self.jobs == 1 else 'jobs'}, "
            f"took {clock_text(found.took_wall_seconds)} ({wall})"
        )
        if found.from_cache:
            parts = (f"{name} {part}" for name, part in found.from_cache.items())
            text += f"; without what came from a cache: {', '.join(parts)}"
        others = tuple(self._not_compared())
        return f"{text}; not compared: {'; '.join(others)}" if others else text

    def _not_compared(self) -> Iterator[str]:
        by_reason: dict[str, list[str]] = {}
        for name, reason in self.not_compared.items():
            by_reason.setdefault(reason, []).append(name)
        return (f"{', '.join(names)} ({reason})" for reason, names in by_reason.items())


def compare(
    expected: ExpectedCost,
    compiled: Mapping[str, Compilations | None],
    compiling: Sequence[str],
    anew: Mapping[str, ExpectedTarget],
) -> CostRecord:
    """Compare the bake targets for which that is possible.

    `compiling` are the bake targets that compile something, `compiled` is what the step of each
    said; None where it said nothing. `anew` is the price of what a bake target compiled while a
    cache had the rest, for those of which it can be said.
    """
    prices, reasons = {}, {}
    for name in compiling:
        step = compiled.get(name)
        helped = step is not None and step.saved_time
        price = anew.get(name) if helped else expected.targets.get(name)
        if (reason := _reason(price, step)) is not None:
            reasons[name] = reason
        elif price is not None and step is not None:
            prices[name] = price, step
    return CostRecord(
        **expected.model_dump(),
        compared=_compared(prices) if prices else None,
        not_compared=reasons,
    )


def _reason(price: ExpectedTarget | None, step: Compilations | None) -> str | None:
    """Why a price and what a step took are not about the same; None where they are."""
    if step is None:
        return "no compilation in this build"
    if price is None and step.saved_time:
        return f"{_part(step)} from a cache"
    if price is None or not price.whole:
        return "not all of it has a price"
    if step.cpu_seconds is None or step.wall_seconds is None:
        return "its time was not measured"
    return None


def _part(step: Compilations) -> str:
    return f"{step.hits:,} of {step.hits + step.misses:,}"


def _compared(found: Mapping[str, tuple[ExpectedTarget, Compilations]]) -> Compared:
    cpu = _sum(price.cpu_seconds for price, _ in found.values())
    # Compiling steps share one locked cache, so they run one after the other.
    wall = _sum(price.wall_seconds for price, _ in found.values())
    took_cpu = round(sum(step.cpu_seconds or 0.0 for _, step in found.values()), 1)
    took_wall = round(sum(step.wall_seconds or 0.0 for _, step in found.values()), 1)
    return Compared(
        targets=tuple(found),
        from_cache={name: _part(step) for name, (_, step) in found.items() if step.saved_time},
        expected_cpu_seconds=cpu,
        took_cpu_seconds=took_cpu,
        cpu_off_by=_off(took_cpu, cpu),
        expected_wall_seconds=wall,
        took_wall_seconds=took_wall,
        wall_off_by=_off(took_wall, wall),
    )


def _sum(parts: Iterable[Bounds]) -> Bounds:
    pairs = tuple(parts)
    return round(sum(low for low, _ in pairs), 1), round(sum(high for _, high in pairs), 1)


def _off(took: float, bounds: Bounds) -> float:
    low, high = bounds
    if took > high:
        return round(took / high - 1, 3)
    return round(took / low - 1, 3) if took < low else 0.0


def _said(off_by: float) -> str:
    if not off_by:
        return "within"
    return f"{100 * abs(off_by):.0f} % {'above' if off_by > 0 else 'below'}"


def _hours(bounds: Bounds) -> str:
    low, high = (seconds / _HOUR for seconds in bounds)
    digits = 1 if high >= 10 else 2 if high >= 0.1 else 3
    texts = f"{low:,.{digits}f}", f"{high:,.{digits}f}"
    return texts[0] if texts[0] == texts[1] else " to ".join(texts)


def _clock(bounds: Bounds) -> str:
    texts = clock_text(bounds[0]), clock_text(bounds[1])
    return texts[0] if texts[0] == texts[1] else " to ".join(texts)
