"""Write for launch/sccache what compilations may take together, and what each is expected to need.

usage: memory.py COMPONENT PLACE KEPT

PLACE/budget is what the step has, in MiB: what is free of the machine's memory, or what its cgroup
may take where that is less, without the reserve of compile_memory.json. PLACE/peaks is a copy of
KEPT, what units took before (peaks.py). PLACE/table is for units of which that says nothing: a line
has MiB, `host` or `cuda`, and a part of a path, with tabs between; the first line that fits counts,
and an empty part fits every path. The component's row is chosen as smforge chooses it for the
number of jobs (smforge.bake.host.job_limits), from the build arguments in the environment.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import peaks

TABLE = Path(__file__).with_name("compile_memory.json")
_MIB = 1 << 20
_LIMITS = ("memory.max", "memory.limit_in_bytes")
"""Of cgroup v2 and v1, in bytes; v2 says ``max`` where there is none."""


def free_bytes(root: Path = Path("/")) -> int:
    """What compilations may take here: by the machine, and by the cgroups that can be seen."""
    lines = (root / "proc/meminfo").read_text(encoding="ascii").splitlines()
    said = dict(line.split(":") for line in lines)
    return min(int(said["MemAvailable"].split()[0]) * 1024, *_limits(root), sys.maxsize)


def _limits(root: Path) -> Iterator[int]:
    """The limits of this process's cgroup and of those above it.

    In a container the file system begins with the container's own; limits above it are not seen.
    """
    folders = {root / "sys/fs/cgroup", root / "sys/fs/cgroup/memory"}
    for line in (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines():
        _number, controllers, path = line.split(":", 2)
        mount = "sys/fs/cgroup/memory" if controllers == "memory" else "sys/fs/cgroup"
        if controllers in {"", "memory"}:
            own = root / mount / path.lstrip("/")
            folders |= {own, *(one for one in own.parents if root / mount in one.parents)}
    for folder in folders:
        for name in _LIMITS:
            try:
                text = (folder / name).read_text(encoding="ascii").strip()
            except OSError:
                continue
            if text.isdigit():
                yield int(text)


def row_of(table: Mapping[str, Any], component: str, settings: Mapping[str, str]) -> dict[str, Any]:
    """The first row that applies to a component of these settings."""
    return next(row for row in table["rows"] if _applies(row, component, settings))


def _applies(row: Mapping[str, Any], component: str, settings: Mapping[str, str]) -> bool:
    if row.get("component", component) != component:
        return False
    if row.get("selection") not in (None, settings.get("selection")):
        return False
    chosen = settings.get("extensions", "").split()
    return "extensions" not in row or (bool(chosen) and set(chosen) <= set(row["extensions"]))


def lines_of(table: Mapping[str, Any], component: str, row: Mapping[str, Any]) -> Iterator[str]:
    """The lines of PLACE/table, in the order in which they count."""
    yield f"{_mib(table['host']['gib'])}\thost\t"
    for unit in table["units"]:
        if unit["component"] == component:
            yield f"{_mib(unit['gib'])}\tcuda\t{unit['path_has']}"
    yield f"{_mib(row['gib_per_job'])}\tcuda\t"


def _mib(gib: float) -> int:
    return round(gib * 1024)


def main(component: str, place: Path, kept: Path) -> None:
    """Write the three files and say the budget."""
    table = json.loads(TABLE.read_text(encoding="utf-8"))
    free, reserve = free_bytes() // _MIB, _mib(table["reserve_gib"])
    settings = {
        "selection": os.environ.get("FLASHINFER_SELECTION", ""),
        "extensions": os.environ.get("VLLM_EXTENSIONS", ""),
    }
    row = row_of(table, component, settings)
    (place / "table").write_text(
        "\n".join(lines_of(table, component, row)) + "\n", encoding="utf-8"
    )
    peaks.write(place / "peaks", peaks.read(kept))
    (place / "budget").write_text(f"{max(0, free - reserve)}\n", encoding="ascii")
    print(
        f"smforge: compilations take up to {max(0, free - reserve) / 1024:.1f} GiB together "
        f"({free / 1024:.1f} GiB are free, {reserve / 1024:.1f} stay so)",
        flush=True,
    )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
