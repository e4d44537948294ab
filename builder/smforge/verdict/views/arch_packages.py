"""Packages of which one is installed per architecture, and of which a program loads one.

A library of such a package need not run on every device, because another package serves the
others. One of the packages has to serve each required device, and where a package is named after a
device, that one. Which packages these are is data (data/arch_packages.json).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from functools import cache

from smforge.arch.target import ComputeCapability, Target
from smforge.verdict.data import table
from smforge.verdict.reach import RUNS, Reach


class Part(Enum):
    """Why a library does not run on a device, and whether that is right."""

    ELSEWHERE = "elsewhere"
    """Another package serves the device."""
    HERE = "here"
    """Nothing else serves the device, or this package is named after it."""


Parts = tuple[tuple[ComputeCapability, Part], ...]
"""By device on which nothing of the file's package runs: whether another package serves it."""

Package = tuple[str, str]
"""The kind of package, and the folder that holds packages of this kind."""


def parts_of(
    running: Mapping[str, frozenset[ComputeCapability]], devices: Sequence[ComputeCapability]
) -> dict[str, Parts]:
    """Find the packages of one kind and place, and by path what others serve on `devices`.

    `running` has, by path, the devices on which anything of the file runs.
    """
    beside: dict[Package, dict[str, list[str]]] = {}
    for path in running:
        if (found := _package(path)) is not None:
            package, target = found
            beside.setdefault(package, {}).setdefault(target, []).append(path)
    parts: dict[str, Parts] = {}
    for packages in beside.values():
        served = {
            target: frozenset[ComputeCapability]().union(*(running[path] for path in held))
            for target, held in packages.items()
        }
        for target, held in packages.items():
            part = tuple(_parts(target, served, devices))
            parts.update((path, part) for path in held)
    return parts


def as_part(how: Reach, part: Part | None) -> Reach:
    """How a kernel reaches a device, given which devices the other packages of its kind serve."""
    if part is None or how in RUNS:
        return how
    if part is Part.ELSEWHERE:
        return Reach.ELSEWHERE
    return Reach.MISSING if how is Reach.FOREIGN else how


def _parts(
    target: str,
    served: Mapping[str, frozenset[ComputeCapability]],
    devices: Sequence[ComputeCapability],
) -> Iterator[tuple[ComputeCapability, Part]]:
    own = Target.parse(target.replace("sm", "sm_")).capability
    for device in devices:
        if device in served[target]:
            continue
        others = any(device in found for found in served.values())
        yield device, Part.ELSEWHERE if others and device != own else Part.HERE


def _package(path: str) -> tuple[Package, str] | None:
    for name, pattern in _patterns():
        if match := pattern.match(path):
            return (name, match["place"]), match["target"]
    return None


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    rows = table("arch_packages")["packages"]
    return tuple((row["name"], re.compile(row["path"])) for row in rows)
