"""How many compiler jobs an engine can take at once.

The rule: as many jobs as there are cores. A compiling step knows its memory, and begins only as
many compilations as fit into it (docker/compile-cache/launch/sccache). Where its memory has a limit
that a step may not see, there are no more jobs than fit when every one of them takes what the
hungriest file of the cell takes (data/compile_memory.json).

nvcc compiles a file's architectures in threads beside each other, and each thread may take as much
as a job, so threads are only what memory leaves after the jobs; two at most, since they then
compete for cores and serve only to shorten the tail of a build.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from smforge.plan.records import Cell, PlannedComponent

_DATA = Path(__file__).parent / "data" / "compile_memory.json"
_GIB = 1 << 30
_MAX_THREADS = 2
_GIB_OF_NOTHING = 1.0
"""A cell that compiles nothing still gets a number of jobs."""


@dataclass(frozen=True, slots=True)
class JobLimits:
    """What MAX_JOBS and NVCC_THREADS say."""

    jobs: int
    nvcc_threads: int


def weighed_limits(cores: int, memory_bytes: int, gib_per_job: float) -> JobLimits:
    """The limits where the step itself sees the memory: a job for each core."""
    return JobLimits(max(1, cores), _threads(_fitting(memory_bytes, gib_per_job), max(1, cores)))


def job_limits(cores: int, memory_bytes: int, gib_per_job: float) -> JobLimits:
    """The limits with which all jobs fit into memory; never less than one job with one thread."""
    fitting = _fitting(memory_bytes, gib_per_job)
    jobs = max(1, min(cores, fitting))
    return JobLimits(jobs, _threads(fitting, jobs))


def _fitting(memory_bytes: int, gib_per_job: float) -> int:
    return int((memory_bytes / _GIB - _table()["reserve_gib"]) / gib_per_job)


def _threads(fitting: int, jobs: int) -> int:
    return max(1, min(_MAX_THREADS, fitting // jobs))


def gib_per_job(cell: Cell) -> float:
    """The peak that one compiler job of this cell may need, in GiB."""
    compiled = [one for one in cell.components if one.archs]
    return max((_gib_of(component) for component in compiled), default=_GIB_OF_NOTHING)


def _gib_of(component: PlannedComponent) -> float:
    rows = _table()["rows"]
    return next(float(row["gib_per_job"]) for row in rows if _applies(row, component))


def _applies(row: dict[str, Any], component: PlannedComponent) -> bool:
    if row.get("component", component.name) != component.name:
        return False
    if row.get("selection") not in (None, component.settings.get("selection")):
        return False
    if "extensions" not in row:
        return True
    chosen = component.settings.get("extensions", "").split()
    return bool(chosen) and set(chosen) <= set(row["extensions"])


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(_DATA.read_text(encoding="utf-8"))
    return table
