"""What the launcher before every compiler adds to sccache, where everything comes from the cache.

``python -m benchmarks.launcher SCCACHE [--hits 100] [--rounds 3] [--units 0]`` compiles a small C++
file again and again with g++, in turn with sccache alone and through the launcher. `--units` is how
many units the file of what was measured before has.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median

_LAUNCHER = Path(__file__).parents[1] / "docker" / "compile-cache" / "launch" / "sccache"
_COMPILE = ("g++", "-c", "host.cc", "-o", "host.o")


def lay_out(place: Path, sccache: Path, units: int) -> None:
    """What a step prepares for the launcher, and a file to compile."""
    for folder in ("bin", "launch", "running"):
        (place / folder).mkdir()
    (place / "bin" / "sccache").symlink_to(sccache.resolve())
    shutil.copy(_LAUNCHER, place / "launch")
    (place / "host.cc").write_text("int f() { return 1; }\n")
    (place / "budget").write_text("8192\n")
    (place / "table").write_text("2048\thost\t\n9728\tcuda\t\n")
    lines = (f"/src/csrc/a/folder/unit_{one}.cu\tsm_120f\t{one}\t1\n" for one in range(units))
    (place / "peaks").write_text("".join(lines))


def hits(place: Path, command: Path, count: int) -> tuple[float, float]:
    """Wall and CPU milliseconds for each of so many hits; CPU without that of the server."""
    before, start = os.times(), time.perf_counter()
    for _ in range(count):
        subprocess.run((command, *_COMPILE), cwd=place, check=True)
    wall, after = time.perf_counter() - start, os.times()
    used = after.children_user + after.children_system
    return 1000 * wall / count, 1000 * (
        used - before.children_user - before.children_system
    ) / count


def main() -> None:
    """Print the medians of the rounds."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("sccache", type=Path)
    parser.add_argument("--hits", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--units", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        lay_out(place, given.sccache, given.units)
        os.environ |= {
            "SCCACHE_SERVER_UDS": str(place / "socket"),
            "SCCACHE_DIR": str(place / "cache"),
            "SMFORGE_COMPILE_LOCKS": folder,
        }
        commands = {name: place / name / "sccache" for name in ("bin", "launch")}
        subprocess.run((commands["bin"], *_COMPILE), cwd=place, check=True)
        try:
            rounds = [
                {name: hits(place, one, given.hits) for name, one in commands.items()}
                for _ in range(given.rounds)
            ]
        finally:
            subprocess.run(
                (commands["bin"], "--stop-server"), stdout=subprocess.DEVNULL, check=False
            )
    for name, said in (("bin", "sccache alone"), ("launch", "through the launcher")):
        wall, cpu = (median(one[name][part] for one in rounds) for part in (0, 1))
        print(f"{said}: {wall:.1f} ms, of them CPU {cpu:.1f} ms, load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
