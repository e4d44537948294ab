"""Kills what hands results over at random moments: nothing that is half there may be taken.

``python -m benchmarks.store_kills BUSYBOX REGISTRY [--kills 20] [--seed 1]`` builds three small
cells once, on the engine that docker's settings lead to. REGISTRY is the program of the
distribution project, which is started on loopback. Then, so many times each, into a new store:

- ``build --store`` into a directory, and into the registry, is killed; whatever a store then gives
  out is compared byte by byte with what was built; then the same command is run to its end;
- ``merge`` from the registry is killed; its output must not exist or be whole, and after the same
  command has run to its end nothing else may be beside it.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.small_site import PLATFORM, build_command, environment, make_site
from smforge.bake.host.settings import HostSettings
from smforge.errors import SmforgeError
from smforge.matrix.load import load
from smforge.plan.records import Cell
from smforge.plan.resolve import resolve
from smforge.workflow.building.freshness import freshness
from smforge.workflow.building.messages import Messages
from smforge.workflow.building.settings import BuildSettings
from smforge.workflow.farm.stores.naming import open_store

CELLS = ("one", "two", "three")
KINDS = ("directory", "registry", "merge")
_SLUG = PLATFORM.replace("/", "-")


class Handing:
    """Stores that are written to by commands that are killed."""

    def __init__(self, folder: Path, busybox: Path, registry: str, seed: int) -> None:
        self.site = make_site(folder / "site", busybox, CELLS)
        self._registry = registry
        self._random = random.Random(seed)  # noqa: S311  # moments, no secrets
        self.found: Counter[str] = Counter()
        self.problems: list[str] = []
        self._run(build_command(*CELLS))
        out = self.site / "out"
        self._reference = {cell: self._files(self._built(out, cell)) for cell in CELLS}
        self._manifest = (out / "manifest.json").read_bytes()
        self._settings = BuildSettings(
            self.site / "versions.json",
            out,
            HostSettings.from_environment({"SMFORGE_CA_BUNDLE": ""}),
            Messages(quiet=True),
        )
        cells = resolve(load(self.site / "versions.json")).cells
        self._cells: dict[str, Cell] = {cell.variant: cell for cell in cells}
        self._seconds: dict[str, float] = {}

    def strike(self, kind: str, number: int) -> bool:
        """Kill one command of a kind; False where it had ended before."""
        name = f"{kind}{number}"
        store = (
            str(self.site / name) if kind == "directory" else f"registry:{self._registry}/{name}"
        )
        storing = build_command(*CELLS, "--store", store)
        command: Sequence[str] = storing
        joined = self.site / f"joined{number}"
        if kind == "merge":
            self._run(storing)
            merge = (sys.executable, "-m", "smforge", "merge", "--preflight", "off", store)
            command = (*merge, "-o", str(joined))
        if kind not in self._seconds:
            began = time.monotonic()
            self._run(command)
            self._seconds[kind] = time.monotonic() - began
            shutil.rmtree(joined, ignore_errors=True)
            return False
        killed = self._kill(command, self._seconds[kind])
        if kind == "merge":
            self._look_at_joined(name, joined)
        else:
            self._look_at_store(name, store)
        if not joined.exists():
            self._run(command)
        if kind == "merge":
            self._look_at_joined(name, joined, whole=True)
        else:
            self._look_at_store(name, store, whole=True)
        return killed

    def _look_at_store(self, name: str, store: str, *, whole: bool = False) -> None:
        there = open_store(store, self.site, lambda _text: None)
        taken = 0
        for variant in CELLS:
            cell = self._cells[variant]
            inputs = freshness(self._settings, cell).inputs
            with tempfile.TemporaryDirectory() as folder:
                try:
                    record = there.fetch(self._settings, cell, inputs, Path(folder))
                except SmforgeError as error:
                    self.problems.append(f"{name}: {variant} is refused: {error}")
                    continue
                if record is None:
                    continue
                taken += 1
                if self._files(Path(folder)) != self._reference[variant]:
                    self.problems.append(f"{name}: {variant} differs")
        if whole:
            if taken != len(CELLS):
                self.problems.append(f"{name}: {taken} cells at the end")
            left = [path.name for path in self.site.glob(f"{name}/*/.*") if path.suffix != ".lock"]
            self.problems += [f"{name}: {one} is left" for one in left]
        else:
            self.found[f"{name.rstrip('0123456789')}: {taken} of {len(CELLS)} cells there"] += 1

    def _look_at_joined(self, name: str, joined: Path, *, whole: bool = False) -> None:
        if not whole:
            state = "whole" if joined.exists() else "nothing"
            self.found[f"merge: {state} there"] += 1
            if not joined.exists():
                return
        if (joined / "manifest.json").read_bytes() != self._manifest:
            self.problems.append(f"{name}: another manifest")
        for cell in CELLS:
            if self._files(self._built(joined, cell)) != self._reference[cell]:
                self.problems.append(f"{name}: {cell} differs")
        if whole:
            left = sorted(self.site.glob(f".{joined.name}.*"))
            self.problems += [f"{name}: {one.name} is left" for one in left]

    @staticmethod
    def _built(out: Path, cell: str) -> Path:
        return out / cell / _SLUG

    @staticmethod
    def _files(folder: Path) -> dict[str, bytes]:
        found = (path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}

    def _kill(self, command: Sequence[str], seconds: float) -> bool:
        with self._started(command) as process:
            try:
                process.wait(self._random.uniform(0.2, 1) * seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                return True
        return False

    def _run(self, command: Sequence[str]) -> None:
        with self._started(command) as process:
            code = process.wait(300)
        if code != 0:
            raise RuntimeError(f"{command}: {code}: {(self.site / 'log').read_text()[-2000:]}")

    def _started(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        with (self.site / "log").open("wb") as log:
            return subprocess.Popen(
                command, cwd=self.site, env=environment(self.site), stdout=log, stderr=log
            )


@contextmanager
def serving(program: Path, folder: Path) -> Iterator[str]:
    """A registry on loopback that keeps its data in a folder; the result is its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    configuration = folder / "registry.yml"
    configuration.write_text(
        f"version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '{address}'}}\n"
        f"storage: {{filesystem: {{rootdirectory: '{folder}/data'}}}}\n"
    )
    with (folder / "registry.log").open("wb") as log:
        process = subprocess.Popen(
            (program, "serve", configuration),
            stdout=log,
            stderr=log,
            env={"OTEL_SDK_DISABLED": "1"},
        )
    try:
        yield address
    finally:
        process.terminate()
        process.wait(20)


def main() -> int:
    """Print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("busybox", type=Path, help="a static busybox")
    parser.add_argument("registry", type=Path, help="the program docker-registry")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    kills: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="smforge-handing-") as name:
        folder = Path(name)
        # The benchmark looks for root file systems where the project's commands do.
        os.environ["XDG_CACHE_HOME"] = str(folder / "site" / "cache")
        with serving(asked.registry, folder) as registry:
            handing = Handing(folder, asked.busybox, registry, asked.seed)
            number = 0
            while min(kills[kind] for kind in KINDS) < asked.kills:
                number += 1
                for kind in KINDS:
                    kills[kind] += handing.strike(kind, number)
                print(
                    f"{dict(kills)}, {len(handing.problems)} problems", file=sys.stderr, flush=True
                )
    for kind in KINDS:
        print(f"kills of {kind}: {kills[kind]}")
    for what, count in sorted(handing.found.items()):
        print(f"  {what}: {count}")
    print(f"problems: {len(handing.problems)}")
    for problem in handing.problems:
        print(f"  {problem}")
    return 1 if handing.problems else 0


if __name__ == "__main__":
    sys.exit(main())
