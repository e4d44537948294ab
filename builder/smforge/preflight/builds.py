"""Combines the builds that a list is divided into. Without effects.

FlashInfer's wheels are made one per target, so each is configured by itself; whether a device lacks
something is decided by what all of them hold, since FlashInfer looks through every wheel that its
device can use (flashinfer/jit/env.py, 0.7.0 and newer).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from smforge.preflight.records import BuildUnits, Configuration, External, Refusal, Unit


@dataclass(frozen=True, slots=True)
class Build:
    """One build of a part of a list."""

    name: str
    """The bake target that carries it out: ``flashinfer-sm120f``."""
    archs: str


def units_by_build(
    builds: Sequence[Build], configurations: Sequence[Configuration]
) -> tuple[BuildUnits, ...]:
    """What each build compiles; nothing when the list is not divided."""
    return tuple(
        BuildUnits(build.name, configuration.units)
        for build, configuration in zip(builds, configurations, strict=False)
    )


def merged(configurations: Sequence[Configuration]) -> Configuration:
    """What several builds compile together: per source, the targets of all of them."""
    first, *others = configurations
    if not others:
        return first
    return replace(
        first,
        archs=" ".join(dict.fromkeys(one.archs for one in configurations)),
        units=_united(unit for one in configurations for unit in one.units),
        skips=tuple(dict.fromkeys(skip for one in configurations for skip in one.skips)),
        not_examined=_by_name(one.not_examined for one in configurations),
        fetched=_by_name(one.fetched for one in configurations),
        host_only=tuple(sorted({name for one in configurations for name in one.host_only})),
        refusal=next(map(_of_build, (one for one in configurations if one.refusal)), None),
    )  # fmt: skip


def _by_name(groups: Iterable[tuple[External, ...]]) -> tuple[External, ...]:
    return tuple({one.name: one for group in groups for one in group}.values())


def _of_build(configuration: Configuration) -> Refusal:
    """A refusal that says which of the builds it stops."""
    refusal = configuration.refusal
    assert refusal is not None
    return replace(refusal, message=f"for {configuration.archs}, {refusal.message}")


def _united(units: Iterable[Unit]) -> tuple[Unit, ...]:
    found: dict[tuple[str, str, str], Unit] = {}
    for unit in units:
        key = unit.extension, unit.source, unit.label
        before = found.get(key)
        found[key] = unit if before is None else _both(before, unit)
    return tuple(sorted(found.values(), key=lambda unit: (unit.extension, unit.source)))


def _both(one: Unit, other: Unit) -> Unit:
    return replace(
        one,
        gencode=tuple(dict.fromkeys((*one.gencode, *other.gencode))),
        targets=tuple(sorted({*one.targets, *other.targets})),
        ptx=tuple(sorted({*one.ptx, *other.ptx})),
    )
