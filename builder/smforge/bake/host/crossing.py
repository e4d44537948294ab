"""On which platform a cell is compiled when no node of the builder has its CPU.

Device code is the same for every CPU, so a component whose build leaves the host compiler to us is
cross-compiled on the node that is there (``cross`` in plan/data/bake_targets.json says which).
Anything else is left to the engine's emulator, which takes hours where nvcc runs under it.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass

from smforge.arch.platforms import PLATFORMS, PROCESSORS
from smforge.plan.bake import bound_to_their_cpu, cross_compiles
from smforge.plan.records import Cell


@dataclass(frozen=True, slots=True)
class Crossing:
    """Compiling on one platform for another."""

    build_platform: str
    """Where the compilers run: ``linux/amd64``."""
    cpu: str
    """What they compile for, as they call it: ``aarch64``."""


def crossing_for(cell: Cell, native: Sequence[str]) -> Crossing | None:
    """How to compile a cell on a builder whose nodes are natively `native`.

    None when a node has the cell's own CPU, when a component of the cell cannot be cross-compiled,
    or when no compiler for that CPU is known.
    """
    cpu = PROCESSORS.get(cell.platform)
    if cpu is None or not native or cell.platform in native or not cross_compiles(cell):
        return None
    return Crossing(native[0], cpu)


def builder_platform(cell: Cell, crossing: Crossing | None) -> str:
    """The platform that the builder has to offer for a cell: an image's steps run on its own."""
    return crossing.build_platform if crossing and cell.image is None else cell.platform


def needs_own_platform(cell: Cell) -> str:
    """Why a cell needs a builder of its own platform, as a part of a sentence."""
    if bound := bound_to_their_cpu(cell):
        return f"{', '.join(bound)} cannot be made on another CPU"
    if cell.image is not None:
        return "programs of its image run while it is built"
    return "no cross compiler for its CPU is known"


def host_platform() -> str:
    """This host's platform in Docker's words, where no engine is asked: ``linux/amd64``."""
    machine = platform.machine()
    return PLATFORMS.get(machine, f"linux/{machine}")
