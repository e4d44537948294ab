"""Whole processes, run in turn and measured by the kernel: wall time, CPU time, peak memory."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
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


def run(command: Sequence[str]) -> Sample:
    """Run a command with its output thrown away."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    cpu = usage.ru_utime + usage.ru_stime
    return Sample(wall, cpu, usage.ru_maxrss << 10, process.returncode)


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
