"""Packages per architecture that stand side by side, of which a device loads one.

A library of such a package need not run everywhere: another package does. But somewhere every
device has to be served, and by its own package where that is there. Which packages these are is
data (data/alternatives.json).
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
    """What a library that does not run on a device has to do with it."""

    ELSEWHERE = "elsewhere"
    """Another package serves the device."""
    OWED = "owed"
    """Nothing else serves the device, or this package says that it does."""


Parts = tuple[tuple[ComputeCapability, Part], ...]
"""What a file is for the devices on which nothing of its package runs; empty for all others."""

Package = tuple[str, str]
"""The kind of package, and the folder in which packages of its kind stand."""


def parts_of(
    running: Mapping[str, frozenset[ComputeCapability]], devices: Sequence[ComputeCapability]
) -> dict[str, Parts]:
    """Find the packages that stand side by side, and what each file is for `devices`, by path.

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
    """How a kernel reaches a device, given what its library is for the device."""
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
        yield device, Part.ELSEWHERE if others and device != own else Part.OWED


def _package(path: str) -> tuple[Package, str] | None:
    for name, pattern in _patterns():
        if match := pattern.match(path):
            return (name, match["place"]), match["target"]
    return None


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    rows = table("alternatives")["alternatives"]
    return tuple((row["name"], re.compile(row["path"])) for row in rows)
