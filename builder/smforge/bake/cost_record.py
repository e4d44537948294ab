"""What a build's compilations were expected to cost, and how far off that was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
        others = tuple(self._not_compared())
        return f"{text}; not compared: {'; '.join(others)}" if others else text

    def _not_compared(self) -> Iterator[str]:
        by_reason: dict[str, list[str]] = {}
        for name, reason in self.not_compared.items():
            by_reason.setdefault(reason, []).append(name)
        return (f"{', '.join(names)} ({reason})" for reason, names in by_reason.items())


def compare(
    expected: ExpectedCost, compiled: Mapping[str, Compilations | None], compiling: Sequence[str]
) -> CostRecord:
    """Compare the bake targets for which that is possible.

    `compiling` are the bake targets that compile something, `compiled` is what the step of each
    said; None where it said nothing.
    """
    reasons = {name: _reason(expected.targets.get(name), compiled.get(name)) for name in compiling}
    alike = tuple(name for name, reason in reasons.items() if reason is None)
    return CostRecord(
        **expected.model_dump(),
        compared=_compared(expected, compiled, alike) if alike else None,
        not_compared={name: reason for name, reason in reasons.items() if reason is not None},
    )


def _reason(expected: ExpectedTarget | None, compiled: Compilations | None) -> str | None:
    """Why the price of a bake target and what it took are not about the same; None where they are.

    What a hit costs, which is the preprocessor at least, is in no price, so a build that was helped
    by the compile cache is not compared with the price of what it compiled anew either.
    """
    if expected is None or not expected.whole:
        return "not all of it has a price"
    if compiled is None:
        return "no compilation in this build"
    if compiled.saved_time:
        return f"{compiled.hits:,} of {compiled.hits + compiled.misses:,} from a cache"
    if compiled.cpu_seconds is None or compiled.wall_seconds is None:
        return "its time was not measured"
    return None


def _compared(
    expected: ExpectedCost, compiled: Mapping[str, Compilations | None], names: tuple[str, ...]
) -> Compared:
    prices = [expected.targets[name] for name in names]
    steps = [step for name in names if (step := compiled[name]) is not None]
    cpu = _sum(one.cpu_seconds for one in prices)
    # Compiling steps share one locked cache, so they run one after the other.
    wall = _sum(one.wall_seconds for one in prices)
    took_cpu = round(sum(one.cpu_seconds or 0.0 for one in steps), 1)
    took_wall = round(sum(one.wall_seconds or 0.0 for one in steps), 1)
    return Compared(
        targets=names,
        expected_cpu_seconds=cpu,
        took_cpu_seconds=took_cpu,
        cpu_off_by=_off(took_cpu, cpu),
        expected_wall_seconds=wall,
        took_wall_seconds=took_wall,
        wall_off_by=_off(took_wall, wall),
    )


def _sum(parts: Iterator[Bounds] | Sequence[Bounds]) -> Bounds:
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
