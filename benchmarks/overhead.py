"""What `smforge build` adds to the bare `docker buildx bake` that it prints.

``python -m benchmarks.overhead BUSYBOX [--rounds 5] [--seconds 5]`` lays out a project of one cell
with two steps of so many seconds, and runs both in turn, uncached (a context changes before each
run) and cached. `smforge build` also audits, records and places what bake exported. At the end it
asks for the unchanged cell. CPU seconds are those of the client, without the engine's.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import Result, Sample, run
from benchmarks.small_site import build_command, environment, make_site, renew_nonce

CELL = "one"


def bare_command(site: Path) -> tuple[str, ...]:
    """The command that smforge prints for the cell, with its override in place."""
    shown = subprocess.run(
        build_command(CELL, "--print"),
        cwd=site, env=environment(site), capture_output=True, text=True, check=True,
    )  # fmt: skip
    (build,) = json.loads(shown.stdout)["builds"]
    override = Path(build["override"]["file"])
    override.parent.mkdir(parents=True, exist_ok=True)
    override.write_text(build["override"]["text"], encoding="utf-8")
    return tuple(build["command"])


def measure(site: Path, rounds: int, *, uncached: bool) -> tuple[Result, Result]:
    """The bare command and smforge, in turn."""
    bare: list[Sample] = []
    whole: list[Sample] = []
    for _ in range(rounds):
        for command, samples in (
            (bare_command(site), bare),
            (build_command(CELL, "--force"), whole),
        ):
            if uncached:
                renew_nonce(site)
            samples.append(run(command))
    return Result.of(bare), Result.of(whole)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("busybox", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", default="5")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        site = make_site(Path(folder) / "site", given.busybox.resolve(), (CELL,), given.seconds)
        os.environ.update(environment(site))
        os.chdir(site)
        rows = []
        for uncached in (True, False):
            bare, whole = measure(site, given.rounds, uncached=uncached)
            rows.append((("uncached" if uncached else "cached"), bare, whole))
        unchanged = Result.of([run(build_command(CELL)) for _ in range(given.rounds)])
    failed = unchanged.failed or any(one.failed for _, *both in rows for one in both)
    print("| | bare: wall, CPU s | smforge: wall, CPU s | more |\n|---|--:|--:|--:|")
    for name, bare, whole in rows:
        more = whole.wall - bare.wall
        print(
            f"| {name} | {bare.wall:.2f}, {bare.cpu:.2f} | {whole.wall:.2f}, {whole.cpu:.2f} "
            f"| {more:.2f} s, {more / bare.wall:.1%} |"
        )
    print(f"| unchanged | | {unchanged.wall:.2f}, {unchanged.cpu:.2f} | |")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
