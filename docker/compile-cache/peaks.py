"""The file of what compilers took, beside the compile cache, so that it costs no layer.

A line is a unit's path, its target (`compute_120f` for cicc, `sm_120f` for ptxas, `host` for the
front end and the host compiler), MiB, and the day on which it was measured, with tabs between. A
line that cannot be read counts for nothing: the file only saves time.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path

Peaks = dict[tuple[str, str], tuple[int, int]]
"""MiB and day, by unit and target."""

MOST_KEPT = 20_000


def merge(into: Peaks, more: Mapping[tuple[str, str], tuple[int, int]]) -> None:
    """Keep the larger one: a compiler that was killed, or seen late, makes nothing smaller."""
    for key, (mib, day) in more.items():
        before = into.get(key, (0, 0))
        into[key] = (max(mib, before[0]), max(day, before[1]))


def read(path: Path) -> Peaks:
    """The lines of a file that can be read; none where it is not there."""
    found: Peaks = {}
    try:
        text = path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return found
    for line in text.split("\n"):
        parts = line.split("\t")
        numbers = [int(one) for one in parts[2:] if one.isascii() and one.isdigit()]
        if len(parts) == 4 and len(numbers) == 2 and parts[0].startswith("/"):
            merge(found, {(parts[0], parts[1]): (numbers[0], numbers[1])})
    return found


def write(path: Path, peaks: Peaks) -> None:
    """Write a file whole, with the lines of a unit beside each other."""
    lines = (
        f"{unit}\t{target}\t{mib}\t{day}\n"
        for (unit, target), (mib, day) in sorted(peaks.items())
        if not {"\t", "\n", "\ufffd"} & {*unit, *target} and unit.isprintable()
    )
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text("".join(lines), encoding="utf-8")
    scratch.replace(path)


def keep(path: Path, peaks: Peaks) -> Peaks:
    """Add to the file what was measured, and give what it has then; the latest units stay."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        whole = read(path)
        merge(whole, peaks)
        latest = sorted(whole.items(), key=lambda one: one[1][1], reverse=True)[:MOST_KEPT]
        write(path, dict(latest))
    return dict(latest)
