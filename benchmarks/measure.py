"""Whole processes, run in turn and measured by the kernel: wall time, CPU time, peak memory."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of one process and its children."""

    wall: float
    cpu: float
    """User and system seconds."""
    peak: int
    """Bytes of the largest process."""
    status: int


@dataclass(frozen=True, slots=True)
class Result:
    """The medians of all runs of one command."""

    wall: float
    cpu: float
    peak: int
    failed: bool

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> Result:
        return cls(
            statistics.median(sample.wall for sample in samples),
            statistics.median(sample.cpu for sample in samples),
            max(sample.peak for sample in samples),
            any(sample.status for sample in samples),
        )


_WATCH = """
import os, sys, time
nowhere = os.open(os.devnull, os.O_WRONLY)
streams = [(os.POSIX_SPAWN_DUP2, nowhere, stream) for stream in (1, 2)]
started = time.perf_counter()
child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=streams)
_, status, used = os.wait4(child, 0)
wall = time.perf_counter() - started
exit_code = os.waitstatus_to_exitcode(status)
print(wall, used.ru_utime + used.ru_stime, used.ru_maxrss << 10, exit_code)
"""
"""A small Python between: Linux counts the memory of the process that starts another one as the
other's own until it has started."""


def run(command: Sequence[str]) -> Sample:
    """Run a command with its output thrown away."""
    watched = [sys.executable, "-I", "-S", "-c", _WATCH, *command]
    told = subprocess.run(watched, check=True, capture_output=True, text=True).stdout
    wall, cpu, peak, status = told.split()
    return Sample(float(wall), float(cpu), int(peak), int(status))


def alternate(commands: dict[str, Sequence[str]], rounds: int) -> dict[str, Result]:
    """Run all commands in turn, `rounds` times over, so that a busy moment hits them all."""
    samples: dict[str, list[Sample]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            samples[name].append(run(command))
    return {name: Result.of(taken) for name, taken in samples.items()}


def warm(path: Path) -> None:
    """Bring a file into the page cache, so that nobody pays for the first reading."""
    with path.open("rb") as file:
        while file.read(1 << 22):
            pass
