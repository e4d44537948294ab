"""Which compilations run side by side: the real launcher, its locks and kills, in real processes.

sccache itself is a shell script here that logs when it begins and ends: what is tested is who may
begin. With real compilers: test_with_compile_cache.py.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.waiting import PATIENCE_SECONDS, until

LAUNCHER = Path(__file__).parents[2] / "docker" / "compile-cache" / "launch" / "sccache"

# Called as `sccache nvcc -c UNIT.cu SECONDS`. A unit with a file UNIT.hold ends when that is gone;
# one with UNIT.nested compiles the unit that stands there; one with UNIT.fail is killed once.
COMPILER = """#!/bin/sh
unit=${3%.cu}
echo "+ $unit" >>log
[ ! -e "$unit.nested" ] || ./launch/sccache nvcc -c "$(cat "$unit.nested").cu" 0
[ ! -e "$unit.fail" ] || { rm "$unit.fail"; echo "- $unit" >>log; exit 137; }
while [ -e "$unit.hold" ]; do sleep 0.01; done
sleep "$4"
echo "- $unit" >>log
"""


@pytest.fixture(scope="module")
def launcher() -> ModuleType:
    loader = SourceFileLoader("launcher", str(LAUNCHER))
    spec = spec_from_loader("launcher", loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


@dataclass(slots=True)
class Site:
    """A compiling step with a budget."""

    place: Path
    processes: dict[str, subprocess.Popen[bytes]]

    @classmethod
    def made(cls, place: Path, budget: int, needs: dict[str, int]) -> Site:
        for folder in ("launch", "bin", "running"):
            (place / folder).mkdir(parents=True)
        shutil.copy(LAUNCHER, place / "launch")
        (place / "bin" / "sccache").write_text(COMPILER)
        (place / "bin" / "sccache").chmod(0o755)
        (place / "budget").write_text(f"{budget}\n")
        lines = (f"{need}\tcuda\t/{unit}.cu\n" for unit, need in needs.items())
        (place / "table").write_text("".join(lines))
        (place / "log").touch()
        return cls(place, {})

    def start(self, unit: str, seconds: float = 0.0) -> int:
        """Compile a unit through the launcher, in a process group of its own."""
        self.processes[unit] = subprocess.Popen(
            (self.place / "launch" / "sccache", "nvcc", "-c", f"{unit}.cu", str(seconds)),
            cwd=self.place,
            env={**os.environ, "SMFORGE_COMPILE_LOCKS": str(self.place)},
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        return self.processes[unit].pid

    def hold(self, unit: str) -> None:
        (self.place / f"{unit}.hold").touch()

    def release(self, unit: str) -> None:
        (self.place / f"{unit}.hold").unlink()

    def kill(self, unit: str) -> None:
        """Kill the launcher and what it runs; the log says so before."""
        with (self.place / "log").open("a") as log:
            log.write(f"k {unit}\n")
        os.killpg(self.processes[unit].pid, signal.SIGKILL)

    def wait(self) -> dict[str, int]:
        return {unit: one.wait(PATIENCE_SECONDS) for unit, one in self.processes.items()}

    @property
    def log(self) -> list[tuple[str, str]]:
        lines = (self.place / "log").read_text().splitlines()
        return [(line[0], line[2:]) for line in lines]

    def begun(self, *units: str) -> None:
        """Wait until these have begun."""
        until(lambda: set(units) <= {unit for what, unit in self.log if what == "+"})

    def together(self) -> Iterator[set[str]]:
        """Who ran at once, after each line of the log."""
        now: set[str] = set()
        killed: set[str] = set()
        for what, unit in self.log:
            if what == "k":
                killed.add(unit)
            now = now | {unit} if what == "+" and unit not in killed else now - {unit}
            yield now


def waits_for_a_lock(pid: int) -> bool:
    """Whether the kernel has this process in its list of those that wait."""
    lines = Path("/proc/locks").read_text().splitlines()
    return any("->" in line and f" {pid} " in line for line in lines)


def fits(site: Site, needs: dict[str, int], budget: int) -> bool:
    return all(
        len(now) <= 1 or sum(needs[unit] for unit in now) <= budget for now in site.together()
    )


UNITS = st.lists(st.integers(0, 12), min_size=1, max_size=10)


@pytest.mark.slow
@settings(max_examples=10)
@given(UNITS, st.integers(0, 10), st.data())
def test_no_more_than_the_budget_runs_and_all_end_whoever_is_killed(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], budget: int, data: st.DataObject
) -> None:
    needs = {f"u{number}x": need for number, need in enumerate(sizes)}
    killed = data.draw(st.sets(st.sampled_from(sorted(needs))), label="killed")
    site = Site.made(tmp_path_factory.mktemp("site") / "step", budget, needs)
    for unit in needs:
        site.start(unit, 0.05)
    for unit in killed:
        time.sleep(0.02)
        site.kill(unit)
    statuses = site.wait()
    assert all(statuses[unit] in {0, -signal.SIGKILL} for unit in killed)
    assert {statuses[unit] for unit in needs.keys() - killed} <= {0}
    assert fits(site, needs, budget)
    # The next one finds nothing in its way, and nothing is left of those that ended.
    site.start("next")
    assert site.wait()["next"] == 0
    assert [*(site.place / "running").iterdir()] == []


def test_what_fits_runs_side_by_side(tmp_path: Path) -> None:
    needs = {"one": 5, "two": 5}
    site = Site.made(tmp_path, 10, needs)
    for unit in needs:
        site.hold(unit)
        site.start(unit)
    site.begun("one", "two")
    for unit in needs:
        site.release(unit)
    assert site.wait() == {"one": 0, "two": 0}


def test_a_large_one_waits_its_turn_and_no_small_one_passes_it(tmp_path: Path) -> None:
    site = Site.made(tmp_path, 10, {"first": 5, "large": 30, "small": 1})
    site.hold("first")
    site.start("first")
    site.begun("first")
    site.start("large")
    locks = Path("/proc/locks")
    queue = str((site.place / "queue").stat().st_ino)
    until(lambda: any(f":{queue} " in line for line in locks.read_text().splitlines()))
    small = site.start("small")
    until(lambda: waits_for_a_lock(small))
    site.release("first")
    assert set(site.wait().values()) == {0}
    order = [unit for what, unit in site.log if what == "+"]
    assert order == ["first", "large", "small"]
    assert fits(site, {"first": 5, "large": 30, "small": 1}, 10)


def test_a_holder_that_is_killed_leaves_its_memory_to_the_next(tmp_path: Path) -> None:
    site = Site.made(tmp_path, 10, {"holder": 10, "next": 10})
    site.hold("holder")
    site.start("holder")
    site.begun("holder")
    site.start("next")
    site.kill("holder")
    assert site.wait() == {"holder": -signal.SIGKILL, "next": 0}


def test_a_compiler_that_calls_another_does_not_wait_for_itself(tmp_path: Path) -> None:
    site = Site.made(tmp_path, 10, {"outer": 10, "inner": 10})
    (tmp_path / "outer.nested").write_text("inner")
    site.start("outer")
    assert site.wait() == {"outer": 0}
    assert [unit for _what, unit in site.log] == ["outer", "inner", "inner", "outer"]


def test_one_that_waits_and_is_killed_stops_nobody(tmp_path: Path) -> None:
    site = Site.made(tmp_path, 10, {"holder": 10, "waiting": 10, "next": 10})
    site.hold("holder")
    site.start("holder")
    site.begun("holder")
    waiting = site.start("waiting")
    site.start("next")
    until(lambda: any(map(waits_for_a_lock, (waiting, site.processes["next"].pid))))
    site.kill("waiting")
    site.release("holder")
    assert site.wait() == {"holder": 0, "waiting": -signal.SIGKILL, "next": 0}


def test_a_killed_compiler_is_repeated_while_nothing_else_runs(tmp_path: Path) -> None:
    needs = dict.fromkeys(("long", "killed", "later"), 1)
    site = Site.made(tmp_path, 10, needs)
    (tmp_path / "killed.fail").touch()
    site.hold("long")
    site.hold("killed")
    site.start("long")
    site.begun("long")
    site.start("killed")
    until(lambda: ("-", "killed") in site.log)
    site.release("long")
    until(lambda: site.log.count(("+", "killed")) == 2)
    later = site.start("later")
    until(lambda: waits_for_a_lock(later))
    site.release("killed")
    assert set(site.wait().values()) == {0}
    assert site.log[-6:] == [
        ("-", "killed"),
        ("-", "long"),
        ("+", "killed"),
        ("-", "killed"),
        ("+", "later"),
        ("-", "later"),
    ]


PEAKS = (
    "/src/a.cu\tcompute_120f\t4000\t1\n/src/a.cu\thost\t500\t1\n/src/a.cu\tsm_120f\t1000\t1\n"
    "/src/a.cu\tcompute_90a\t2000\t1\n/src/a.cu\tsm_90a\t100\t1\n/src/aa.cu\thost\t7\t1\n"
    "/src/b.cc\thost\t300\t1\n/src/no_kernel.cu\tcompute_80\t200\t1\n"
    "/src/hit.cu\tsm_80\t200\t1\n"
)
TABLE = "2048\thost\t\n10000\tcuda\tqutlass\n9000\tcuda\t\n"
ONE = "-gencode arch=compute_120f,code=sm_120f"
TWO = f"{ONE} -gencode=arch=compute_90a,code=[sm_90a,compute_90a]"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (f"nvcc {ONE} -c /src/a.cu", 4400),
        (f"nvcc {TWO} -c /src/a.cu", 4400),
        (f"nvcc {TWO} --threads=2 -c /src/a.cu", 4400 + 2200),
        (f"nvcc {TWO} -t 2 -c ../src/a.cu", 4400 + 2200),
        ("nvcc -arch=sm_90a -c /src/a.cu", 2200),
        ("nvcc -arch sm_90a -c /src/a.cu", 2200),
        ("nvcc -c /src/a.cu", 4400),  # its target is nvcc's own, or stands in a file of flags
        (f"nvcc {ONE} -gencode arch=compute_80,code=sm_80 -c /src/a.cu", 9000),
        (f"nvcc {ONE} -c /src/aa.cu", 9000),
        (f"nvcc {ONE} -c /externals/qutlass-src/gemm.cu", 10000),
        ("nvcc -c /src/c.cu", 9000),
        # ptxas was too short to be seen; cicc was not, so that its result came from the cache.
        ("nvcc -gencode arch=compute_80,code=sm_80 -c /src/no_kernel.cu", 220),
        ("nvcc -gencode arch=compute_80,code=sm_86 -c /src/no_kernel.cu", 220),
        ("nvcc -gencode arch=compute_80,code=sm_80 -c /src/hit.cu", 9000),
        ("g++ -c /src/b.cc", 330),
        ("g++ -c /src/c.cc -o c.o", 2048),
        ("nvcc --version", 0),
    ],
)
def test_what_is_expected(
    launcher: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    expected: int,
) -> None:
    monkeypatch.chdir("/usr")
    (tmp_path / "peaks").write_text(PEAKS)
    (tmp_path / "table").write_text(TABLE)
    assert launcher.needed(str(tmp_path), command.split()) == expected


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))))
def test_every_command_is_understood(launcher: ModuleType, words: list[str]) -> None:
    assert launcher.threads_of(words) >= 1
    assert isinstance(launcher.targets_of(words), dict)
