"""Kills `smforge build` at random moments and resumes it: nothing may differ, nothing may be left.

``python -m benchmarks.kills BUSYBOX [--what command] [--kills 100] [--seed 1]`` builds a project of
three small cells, once undisturbed, and then again and again into an empty directory. Each build is
killed after a random part of the undisturbed build's time, every third resumed run too, and it is
then resumed to its end. After each the manifest is compared byte by byte, and the names of all
files, with those of the undisturbed build; processes, steps, mounts and locks that are left are
looked for. Exit code 1 if there is any difference.

What is killed, with SIGKILL:

- ``command``: smforge alone, as the kernel does it when memory is short; on the engine that
  docker's settings lead to;
- ``engine``: dockerd and its containerd, while the command goes on and sees it;
- ``machine``: smforge, buildx, dockerd and containerd, all stopped before the first is killed. What
  a power cut does to data that no fsync has brought to the disk is not tried by this.

The engine of the last two is one of `tools/engine`, in a state directory of its own (STATE), which
must not exist and is removed at the end.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.small_site import (
    build_command,
    environment,
    make_site,
    renew_nonce,
    resume_command,
)
from benchmarks.state_engine import StateEngine
from smforge.bake.host.own_engine import state_directory

CELLS = ("one", "two", "three")
_LEAST = 0.05
_PATIENCE = 300.0
KINDS = ("command", "engine", "machine")


@dataclass
class Tally:
    """What was found over all kills."""

    kills: int = 0
    moments: Counter[str] = field(default_factory=Counter)
    """How far the killed runs had come: the last line of their journal."""
    codes: Counter[int] = field(default_factory=Counter)
    """How commands ended whose engine was killed."""
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Reference:
    """The undisturbed build."""

    manifest: bytes
    names: frozenset[str]
    seconds: float


class Campaign:
    """Builds of one project that are killed and resumed."""

    def __init__(
        self, folder: Path, busybox: Path, seed: int, what: str, engine: StateEngine | None
    ) -> None:
        self._what = what
        self._engine = engine
        # The time that its steps take finds them among all processes.
        self._mark = f"0.{100000 + os.getpid() % 900000}"
        self.site = make_site(folder / "site", busybox, CELLS, self._mark)
        self.out = self.site / "out"
        self._nonces: set[str] = set()
        self._random = random.Random(seed)  # noqa: S311  # moments, no secrets

    def reference(self) -> Reference:
        """Build without a disturbance."""
        self._fresh()
        began = time.monotonic()
        self._run(build_command(*CELLS))
        seconds = time.monotonic() - began
        return Reference(self._manifest(), self._names(), seconds)

    def kill_and_resume(self, reference: Reference, tally: Tally) -> None:
        """One build into an empty directory, killed once or twice, then resumed to its end."""
        self._fresh()
        self._kill(build_command(*CELLS), reference.seconds, tally)
        if self._begun() and self._random.random() < 1 / 3:
            self._kill(resume_command(), reference.seconds, tally)
        # Killed before its first line, a run has nothing that could be resumed.
        self._run(resume_command() if self._begun() else build_command(*CELLS))
        found = [f"kill {tally.kills}: {one}" for one in self._differences(reference)]
        tally.problems += found
        for line in found or [f"kill {tally.kills}: no difference"]:
            print(line, file=sys.stderr, flush=True)

    def _fresh(self) -> None:
        shutil.rmtree(self.out, ignore_errors=True)
        self._nonces.add(renew_nonce(self.site))

    def _begun(self) -> bool:
        return (self.out / "journal.jsonl").is_file()

    def _kill(self, command: Sequence[str], seconds: float, tally: Tally) -> None:
        process = self._start(command)
        try:
            process.wait(self._random.uniform(_LEAST, seconds))
        except subprocess.TimeoutExpired:
            moment = self._moment()
            self._strike(process, tally)
            tally.kills += 1
            tally.moments[moment] += 1

    def _strike(self, process: subprocess.Popen[bytes], tally: Tally) -> None:
        if self._engine is None:
            process.kill()
            process.wait()
            return
        if self._what == "engine":
            self._engine.kill()
            tally.codes[process.wait(_PATIENCE)] += 1
        else:
            self._engine.kill(*self._commands())
            process.wait()
        self._engine.start()

    def _commands(self) -> Iterator[int]:
        """smforge and the buildx that it runs, by the directory that both work in."""
        for process in Path("/proc").glob("[0-9]*"):
            try:
                here = (process / "cwd").readlink() == self.site
            except OSError:
                continue
            if here and int(process.name) != os.getpid():
                yield int(process.name)

    def _moment(self) -> str:
        if not self._begun():
            return "before the journal"
        # The run may be writing its last line.
        last = (self.out / "journal.jsonl").read_bytes().rpartition(b"\n")[0].splitlines()[-1]
        return str(json.loads(last)["event"])

    def _run(self, command: Sequence[str]) -> None:
        process = self._start(command)
        code = process.wait(_PATIENCE)
        if code != 0:
            raise RuntimeError(f"{command} ended with {code}: {self._log.read_text()[-2000:]}")

    @property
    def _log(self) -> Path:
        return self.site / "log"

    def _start(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        with self._log.open("wb") as log:
            return subprocess.Popen(
                command, cwd=self.site, env=self._environment(), stdout=log, stderr=log
            )

    def _environment(self) -> dict[str, str]:
        ours = environment(self.site)
        return ours if self._engine is None else {**ours, **self._engine.environment, **_of(ours)}

    def _manifest(self) -> bytes:
        return (self.out / "manifest.json").read_bytes()

    def _names(self) -> frozenset[str]:
        return frozenset(path.relative_to(self.out).as_posix() for path in self.out.rglob("*"))

    def _differences(self, reference: Reference) -> Iterator[str]:
        if self._manifest() != reference.manifest:
            yield "another manifest"
        for name in sorted(self._names() ^ reference.names):
            yield f"{'left' if name not in reference.names else 'lacking'}: {name}"
        for lock in self.out.rglob(".*lock"):
            if is_locked(lock):
                yield f"locked: {lock.name}"
        deadline = time.monotonic() + _PATIENCE
        # The engine drops what it ran for a client that is gone a moment later.
        while (left := [*self._processes(), *mounts(self._nonces)]) and (
            time.monotonic() < deadline
        ):
            time.sleep(0.1)
        yield from left

    def _processes(self) -> Iterator[str]:
        """Processes of the project: of smforge and buildx, and steps in containers."""
        for command in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = command.read_bytes().split(b"\0")
            except OSError:
                continue
            text = b" ".join(words).decode(errors="replace").strip()
            is_step = words[:2] == [b"busybox", b"sleep"] and self._mark.encode() in words
            if is_step or str(self.site) in text:
                yield f"process {command.parent.name}: {text[:200]}"


def is_locked(path: Path) -> bool:
    """Whether some process holds the lock of a file."""
    with path.open("rb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def mounts(nonces: Collection[str]) -> frozenset[str]:
    """The mounted root file systems of steps that were given one of these nonces.

    Others that use the engine at the time have mounts of their own.
    """
    places = (line.split()[1] for line in Path("/proc/mounts").read_text().splitlines())
    return frozenset(place for place in places if _nonce(Path(place)) in nonces)


def _nonce(place: Path) -> str | None:
    try:
        return (place / "nonce").read_text()
    except (OSError, UnicodeDecodeError):
        return None


def _of(environment: dict[str, str]) -> dict[str, str]:
    """What the project sets, whatever engine is used."""
    names = ("PYTHONPATH", "SMFORGE_CA_BUNDLE", "XDG_CACHE_HOME")
    return {name: environment[name] for name in names}


def campaign(  # noqa: PLR0913, PLR0917  # what is killed, how often, with what
    folder: Path,
    busybox: Path,
    kills: int,
    seed: int,
    what: str = "command",
    engine: StateEngine | None = None,
) -> tuple[Reference, Tally]:
    """Kill and resume until there were so many kills."""
    of = Campaign(folder, busybox, seed, what, engine)
    reference = of.reference()
    tally = Tally()
    while tally.kills < kills:
        of.kill_and_resume(reference, tally)
    return reference, tally


def main() -> int:
    """Print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("busybox", type=Path, help="a static busybox")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--what", choices=KINDS, default=KINDS[0])
    parser.add_argument("--state", type=Path, help="a directory that does not exist")
    asked = parser.parse_args()
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(prefix="smforge-kills-"))
        engine = None
        if asked.what != KINDS[0]:
            engine = StateEngine(asked.state)
            engine.take_programs(state_directory(os.environ, os.geteuid()))
            stack.callback(engine.remove)
            engine.start()
        before = () if engine is None else engine.mounts()
        reference, tally = campaign(
            Path(name), asked.busybox, asked.kills, asked.seed, asked.what, engine
        )
        left = () if engine is None else sorted({*engine.mounts()} - {*before})
    print(f"{tally.kills} kills of {asked.what} in {time.monotonic() - began:.0f} s")
    for place in left:
        print(f"  still mounted: {place}")
    for code, count in tally.codes.most_common():
        print(f"  commands that ended with {code}: {count}")
    print(f"undisturbed: {reference.seconds:.1f} s, {len(reference.names)} files and folders")
    for moment, count in tally.moments.most_common():
        print(f"  killed after {moment}: {count}")
    print(f"differences: {len(tally.problems)}")
    for problem in tally.problems:
        print(f"  {problem}")
    return 1 if tally.problems else 0


if __name__ == "__main__":
    sys.exit(main())
