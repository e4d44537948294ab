"""What came from the compile cache, per target, as a step that compiled said in its output.

docker/compile-cache/count.py prints the line. A step that the engine took from its own cache
printed nothing, so it has no figures.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

MARK = "smforge compilations: "


class CacheCount(BaseModel):
    """Compilations for one target."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hits: Annotated[int, Field(ge=0)]
    misses: Annotated[int, Field(ge=0)]


class UnitMemory(BaseModel):
    """What the compilers of one source took at most."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    unit: Annotated[str, Field(max_length=4096, description="Its path in the compiling step.")]
    target: Annotated[str, Field(max_length=64, description="Where they did, as in `targets`.")]
    gib: Annotated[float, Field(ge=0, description="Of one process, sampled.")]


class Compilations(BaseModel):
    """What one bake target compiled or took from the compile cache."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    targets: Annotated[
        dict[str, CacheCount],
        Field(
            description="By target: sm_120f for machine code, compute_120f for its PTX, and `host` "
            "for what is compiled once for all targets."
        ),
    ]
    not_cached: Annotated[
        dict[str, Annotated[int, Field(ge=0)]],
        Field(description="Compilations that the cache does not take, by its reason."),
    ] = {}
    errors: Annotated[int, Field(ge=0, description="Failures to read or write the cache.")] = 0
    hungriest: Annotated[
        tuple[UnitMemory, ...],
        Field(max_length=10, description="The units whose compilers took most memory, most first."),
    ] = ()
    cpu_seconds: Annotated[
        float | None,
        Field(ge=0, description="Of the whole step; null where its control group does not say."),
    ] = None
    wall_seconds: Annotated[
        float | None,
        Field(ge=0, description="Of the whole step; null in records of older versions."),
    ] = None

    @property
    def hits(self) -> int:
        """What came from the cache, for all targets together."""
        return sum(one.hits for one in self.targets.values())

    @property
    def misses(self) -> int:
        """What was compiled, for all targets together."""
        return sum(one.misses for one in self.targets.values())

    @property
    def saved_time(self) -> bool:
        """Whether more than a tenth came from the cache.

        A build from nothing finds a few results of its own: files whose PTX is the same.
        """
        return 10 * self.hits > self.hits + self.misses

    @property
    def lines(self) -> tuple[str, ...]:
        """A few words per target for people, without PTX; what was compiled most comes first."""
        coded = {name: one for name, one in self.targets.items() if not name.startswith("compute_")}
        ordered = sorted(coded.items(), key=lambda pair: (-pair[1].misses, pair[0]))
        return tuple(f"{name} {one.hits:,} of {one.hits + one.misses:,}" for name, one in ordered)


def compilations_of(output: Iterable[str]) -> Compilations | None:
    """The figures in the output of a target's steps; None where there are none that can be read."""
    found = None
    for line in output:
        if line.startswith(MARK):
            try:
                found = Compilations.model_validate_json(line.removeprefix(MARK))
            except ValidationError:
                continue
    return found
