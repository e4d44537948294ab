"""Measure what compilers take, and keep it for the next build.

usage: sampler.py PLACE KEPT

The compilers are processes of sccache's server, which takes nvcc's calls apart: each step of a unit
is a process of its own, and works in or on a folder `sccache_nvcc…`. Not every step names the
source, so the folder connects the steps with those that do. The kernel keeps the most memory that
a process ever had (VmHWM), which is read a few times a second while it runs.

KEPT is the file beside the compile cache (peaks.py); PLACE/measured has what this step measured.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import FrameType

from peaks import Peaks, keep, merge, read, write

HOST = "host"
_COMPILERS = {"cicc", "ptxas", "cudafe++", "cc1plus", "cc1", "fatbinary"}
_DEVICE = {"cicc", "ptxas"}
_SOURCES = (".cu", ".cpp", ".cc", ".cxx", ".c")
_NAMES_NO_SOURCE = {
    *("-dumpbase", "-dumpbase-ext", "-include", "-imacros"),
    *("-o", "-D", "-MF", "-MT", "-MQ"),
}
"""Flags before a word that may end like a source."""
_FOLDER = "/sccache_nvcc"
_LOOK_SECONDS = 0.1
_KEEP_SECONDS = 30.0
_KIB_PER_MIB = 1024
_DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Step:
    """What a compiler's command says."""

    folder: str | None
    """Where the steps of one call of nvcc work."""
    unit: str | None
    """The path of the source."""
    target: str


def step_of(words: Sequence[str], cwd: str) -> Step:
    """What one compiler process does. `words` is its command, `cwd` its directory."""
    folder = next((found for word in (cwd, *words) if (found := _folder_of(word))), None)
    sources = (
        os.path.normpath(os.path.join(cwd, word))  # noqa: PTH118  # may not exist any more
        for before, word in pairwise(words)
        if word.endswith(_SOURCES) and not word.startswith("-") and before not in _NAMES_NO_SOURCE
    )
    unit = next((one for one in sources if _folder_of(one) is None), None)
    if unit is not None and _only_asks(unit):
        unit = None
    program = words[0].rpartition("/")[2] if words else ""
    return Step(folder, unit, _target_of(words) if program in _DEVICE else HOST)


def _only_asks(unit: str) -> bool:
    """Whether the source is one of CMake, sccache or nvcc, to know the compiler."""
    name = unit.rpartition("/")[2]
    of_sccache = name == "testfile.c" and "/sccache" in unit
    return of_sccache or "/CMakeFiles/" in unit or name.startswith(("CMake", "tmpxft_"))


def _folder_of(word: str) -> str | None:
    before, mark, after = word.partition(_FOLDER)
    return f"{before}{mark}{after.partition('/')[0]}" if mark else None


def _target_of(words: Sequence[str]) -> str:
    for flag, value in zip(words, (*words[1:], ""), strict=True):
        word = value if flag in {"-arch", "--gpu-name"} else flag.removeprefix("-arch=")
        if word != flag:
            return word
    return HOST


@dataclass(slots=True)
class Sampler:
    """What was seen until now."""

    socket: bytes
    """The server's; what runs without it in its environment is another build's."""
    steps: dict[tuple[int, str], Step] = field(default_factory=dict)
    """By process and program, as a process can become another program."""
    units: dict[str, str] = field(default_factory=dict)
    """By folder."""
    seen: dict[tuple[str, str], int] = field(default_factory=dict)
    """The most KiB, by the unit or, where it is not known yet, its folder, and target."""

    def look(self) -> None:
        """See what every compiler has taken until now."""
        alive = set()
        for process in _processes():
            try:
                program = (process / "comm").read_text(errors="replace").strip()
                if program not in _COMPILERS:
                    continue
                key = (int(process.name), program)
                if key not in self.steps:
                    self._learn(key, process)
                alive.add(key)
                self._measure(self.steps[key], process)
            except (OSError, ValueError):
                continue  # it has ended
        self.steps = {key: step for key, step in self.steps.items() if key in alive}

    def _learn(self, key: tuple[int, str], process: Path) -> None:
        if self.socket not in (process / "environ").read_bytes():
            self.steps[key] = Step(None, None, HOST)
            return
        command = os.fsdecode((process / "cmdline").read_bytes()).rstrip("\0")
        step = step_of(command.split("\0"), str((process / "cwd").readlink()))
        self.steps[key] = step
        if step.folder and step.unit:
            self.units[step.folder] = step.unit

    def _measure(self, step: Step, process: Path) -> None:
        where = step.folder or step.unit
        if where is None:
            return
        status = (process / "status").read_text(errors="replace")
        key = (where, step.target)
        for line in status.splitlines():
            if line.startswith("VmHWM:"):  # a process that ends has no such line
                self.seen[key] = max(int(line.split()[1]), self.seen.get(key, 0))

    def peaks(self, day: int) -> Peaks:
        """What was measured, of those whose unit is known."""
        found: Peaks = {}
        for (where, target), kib in self.seen.items():
            unit = self.units.get(where, where)
            if _FOLDER not in unit:
                merge(found, {(unit, target): (-(-kib // _KIB_PER_MIB), day)})
        return found


def _processes() -> Iterator[Path]:
    return (Path("/proc", name) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208  # ten times a second


def main(place: Path, kept: Path) -> None:
    """Look until told to end, or until the step has ended."""
    told: list[int] = []

    def end(number: int, _frame: FrameType | None) -> None:
        told.append(number)

    signal.signal(signal.SIGTERM, end)
    before, step = read(kept), os.getppid()
    sampler = Sampler(os.fsencode(os.environ["SCCACHE_SERVER_UDS"]))
    written = time.monotonic()
    while not told and os.getppid() == step:
        sampler.look()
        if time.monotonic() - written > _KEEP_SECONDS:
            _store(sampler, place, kept, before)
            written = time.monotonic()
        time.sleep(_LOOK_SECONDS)
    _store(sampler, place, kept, before)


def _store(sampler: Sampler, place: Path, kept: Path, before: Peaks) -> None:
    """`before` is there once more: sccache may end files in its folder that it did not make."""
    measured = sampler.peaks(int(time.time()) // _DAY_SECONDS)
    whole = dict(before)
    merge(whole, measured)
    keep(kept, whole)
    with contextlib.suppress(FileNotFoundError):  # the step has ended
        write(place / "measured", measured)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
