"""What the compilations of a build were expected to cost, and what they took."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from smforge.bake.compilations import Compilations

_HOUR = 3600

Seconds = Annotated[float, Field(ge=0)]


class ExpectedCost(BaseModel):
    """What compiling everything from nothing was expected to cost, before the build."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    passes: Annotated[int, Field(ge=0, description="Sources, each once for every target.")]
    cpu_seconds: Annotated[
        tuple[Seconds, Seconds], Field(description="Between these two, of what has a figure.")
    ]
    jobs: Annotated[int, Field(ge=1, description="Compilers at once.")]
    wall_seconds: tuple[Seconds, Seconds]
    not_in_it: Annotated[
        tuple[str, ...], Field(description="What has no figure or is not compiled from sources.")
    ] = ()


class CostRecord(ExpectedCost):
    """The same beside what it took."""

    took_cpu_seconds: Annotated[
        float | None,
        Field(ge=0, description="Of the compiling steps; null where a step did not say it."),
    ] = None
    compared: Annotated[
        bool,
        Field(description="Whether both are about the same: little came from the compile cache."),
    ] = False
    off_by: Annotated[
        float | None,
        Field(
            description="How far it was off, as a part of the nearer bound: 0.1 where it took a "
            "tenth more than the upper one, -0.1 where a tenth less than the lower one, 0 between "
            "them. Null where the two are not compared."
        ),
    ] = None

    @classmethod
    def of(cls, expected: ExpectedCost, compiled: Iterable[Compilations | None]) -> CostRecord:
        """Compare with what the steps that compiled said; None stands for one that said nothing."""
        steps = tuple(compiled)
        known = [step.cpu_seconds for step in steps if step and step.cpu_seconds is not None]
        if not steps or len(known) < len(steps):
            return cls(**expected.model_dump())
        took = sum(known)
        compared = not any(step and step.saved_time for step in steps)
        off = _off(took, *expected.cpu_seconds) if compared and expected.cpu_seconds[1] else None
        return cls(
            **expected.model_dump(), took_cpu_seconds=round(took, 1), compared=compared, off_by=off
        )

    @property
    def text(self) -> str:
        """A sentence for people."""
        low, high = (f"{seconds / _HOUR:.2f}" for seconds in self.cpu_seconds)
        bounds = low if low == high else f"{low} to {high}"
        said = f"{self.passes:,} passes were expected to take {bounds} CPU hours"
        if self.took_cpu_seconds is None:
            return f"{said}; what they took is not known"
        said += f" and took {self.took_cpu_seconds / _HOUR:.2f}"
        if not self.compared:
            return f"{said}, some of them from the compile cache"
        if not self.off_by:
            return said
        return f"{said}, {abs(self.off_by):.0%} {'more' if self.off_by > 0 else 'less'}"


def _off(took: float, low: float, high: float) -> float:
    if took > high:
        return round(took / high - 1, 3)
    return round(took / low - 1, 3) if took < low else 0.0
