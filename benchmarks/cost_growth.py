"""How `smforge plan --cost` grows with the number of cells: wall time, CPU time, memory.

``python -m benchmarks.cost_growth [--cells 10 100 2000] [--rounds 3]`` makes matrices whose cells
are different subsets of FlashInfer's eleven targets, so that no two have one list, and measures the
whole command: matrix loaded and checked, plan resolved, units asked for, priced and rendered. Units
come from preflight's cache, which one run fills before.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import Result, run

ROOT = Path(__file__).parents[1]
_TARGETS = (
    *("7.5", "8.0", "8.6", "8.7", "8.9", "9.0a"),
    *("10.0f", "10.3a", "11.0a", "12.0f", "12.1a"),
)
_PLATFORM = "linux/amd64"
MOST = 2 ** len(_TARGETS) - 1


def make_matrix(path: Path, count: int) -> None:
    """Write a matrix of so many cells, of `MOST` at most."""
    document = json.loads((ROOT / "versions.json").read_text(encoding="utf-8"))
    sizes = range(1, len(_TARGETS) + 1)
    subsets = itertools.chain.from_iterable(itertools.combinations(_TARGETS, n) for n in sizes)
    document["variants"] = {
        f"v{number}": _variant(subset)
        for number, subset in enumerate(itertools.islice(subsets, count))
    }
    document["default"] = "v0"
    document.pop("variable")
    path.write_text(json.dumps(document), encoding="utf-8")


def _variant(targets: Sequence[str]) -> dict[str, object]:
    return {
        "toolkit": "13.0",
        "base": "packages",
        "require": {_PLATFORM: [target.rstrip("af") for target in targets]},
        "components": {"flashinfer": {"selection": "core", "archs": {_PLATFORM: list(targets)}}},
    }


def measure(matrix: Path, rounds: int) -> Result:
    """Run the command so many times."""
    command = (sys.executable, "-m", "smforge", "-q", "plan", "--config", str(matrix), "--cost")
    return Result.of([run(command) for _ in range(rounds)])


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, nargs="+", default=[10, 100, 500, 1000, 2000])
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    print("| cells | wall s | CPU s | peak MB |\n|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as folder:
        matrix = Path(folder) / "versions.json"
        make_matrix(matrix, MOST)
        measure(matrix, 1)
        failed = False
        for count in asked.cells:
            make_matrix(matrix, count)
            found = measure(matrix, asked.rounds)
            failed = failed or found.failed
            megabytes = found.peak / 1e6
            print(f"| {count:,} | {found.wall:.2f} | {found.cpu:.2f} | {megabytes:.0f} |")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
