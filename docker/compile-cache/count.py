"""Count what came from sccache, per target, from the log of its server.

usage: count.py LOG STATISTICS MEASURED

sccache runs nvcc's steps one by one, and caches cicc's (PTX), ptxas' (machine code), the front
end's and the host compiler's. Its own statistics do not say for which target. The log is read
after the server has ended. MEASURED has what compilers took (sampler.py). One line is printed,
`smforge compilations: ` and JSON, which smforge looks for.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections import defaultdict, deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import peaks

MARK = "smforge compilations: "
HOST = "host"
"""What runs once for all targets: the front end and the host compiler."""

MOST_NAMED = 10
"""Of the units that took most."""

_CPU_TIMES = (
    ("cpuacct/cpuacct.usage", re.compile(r"^(?P<count>[0-9]+)$", re.MULTILINE), 1e9),
    ("cpu.stat", re.compile(r"^usage_usec (?P<count>[0-9]+)$", re.MULTILINE), 1e6),
)
"""Where the control group of a step says its CPU time, and the parts of a second it is in: version
1 (admin-guide/cgroup-v1/cpuacct.rst of the kernel), version 2 (admin-guide/cgroup-v2.rst)."""

_LINE = re.compile(r"\[(?P<output>[^\]]+)\]: (?P<said>get_cached_or_compile|Cache hit|Cache miss)")
_TARGET = re.compile(r'"-arch(?:=|", ")(?P<target>(?:sm|compute)_[0-9]+[a-z]?)"')
_SOURCE = re.compile(r'"[^"]*\.cu"')
_FRONT_END = '"--orig_src_file_name"'


def count(lines: Iterable[str]) -> dict[str, dict[str, int]]:
    """Hits and misses of each target (`sm_120f`, `compute_80` for PTX) and of `HOST`.

    A whole call of nvcc is no step of its own, and not counted.
    """
    counts: dict[str, dict[str, int]] = defaultdict(lambda: {"hits": 0, "misses": 0})
    # Steps of two files whose outputs have one name may run side by side.
    asked: dict[str, deque[str | None]] = defaultdict(deque)
    for line in lines:
        if (found := _LINE.search(line)) is None:
            continue
        output = found["output"]
        if found["said"].startswith("get"):
            asked[output].append(_target(line))
        elif asked[output] and (target := asked[output].popleft()) is not None:
            counts[target]["hits" if found["said"] == "Cache hit" else "misses"] += 1
    return dict(sorted(counts.items()))


def _target(line: str) -> str | None:
    """For what a step is; None for a whole call of nvcc."""
    if found := _TARGET.search(line):
        return found["target"] if not _is_whole(line) else None
    return None if _is_whole(line) else HOST


def _is_whole(line: str) -> bool:
    return _FRONT_END not in line and _SOURCE.search(line) is not None


def hungriest(measured: peaks.Peaks) -> list[dict[str, str | float]]:
    """The units that took most, each with the target for which it did."""
    ordered = sorted(measured.items(), key=lambda one: (-one[1][0], one[0]))
    first = {unit: (target, mib) for (unit, target), (mib, _day) in reversed(ordered)}
    top = sorted(first.items(), key=lambda one: (-one[1][1], one[0]))[:MOST_NAMED]
    return [
        {"unit": unit, "target": target, "gib": round(mib / 1024, 2)} for unit, (target, mib) in top
    ]


def summary(
    counts: dict[str, dict[str, int]], statistics: dict[str, Any], measured: peaks.Peaks
) -> dict[str, Any]:
    """The counts, sccache's own word on what it could not cache and on its errors, and memory."""
    own = statistics.get("stats", {})
    errors = own.get("cache_errors", {}).get("counts", {})
    return {
        "targets": counts,
        "cpu_seconds": cpu_seconds(Path("/sys/fs/cgroup"), os.getpid()),
        "wall_seconds": wall_seconds(os.getppid()),
        "not_cached": own.get("not_cached", {}),
        "errors": sum(errors.values())
        + own.get("cache_read_errors", 0)
        + own.get("cache_write_errors", 0)
        + own.get("cache_timeouts", 0),
        "hungriest": hungriest(measured),
    }


def cpu_seconds(groups: Path, process: int) -> float | None:
    """CPU time of everything that ran in this step; None where its control group does not say.

    Where a step sees the control groups of the machine, `process` is in none of those that are
    looked at, so the time of all other work is not taken for its own.
    """
    for name, form, parts in _CPU_TIMES:
        file = groups / name
        try:
            members = (file.parent / "cgroup.procs").read_text(encoding="ascii").split()
            found = form.search(file.read_text(encoding="ascii"))
        except OSError:
            continue
        if found and str(process) in members:
            return round(int(found["count"]) / parts, 1)
    return None


def wall_seconds(process: int) -> float:
    """How long a process has been running; its start is the 22nd field of proc_pid_stat(5)."""
    # The second field is a name, which may have spaces and brackets.
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    uptime = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    return round(uptime - int(fields[19]) / os.sysconf("SC_CLK_TCK"), 1)


def main(log: str, statistics: str, measured: str) -> None:
    """Read the log to its end, then sccache's statistics, and print the line."""
    with Path(log).open(encoding="utf-8", errors="replace") as lines:
        counts = count(lines)
    file = Path(statistics)
    own = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    print(MARK + json.dumps(summary(counts, own, peaks.read(Path(measured)))), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
