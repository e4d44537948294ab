"""The command that steps run with the compile cache: real sccache, nvcc and g++, without an engine.

The script is the one of the image, with the paths of this test in place of those of the container.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from benchmarks.measure import run
from smforge.bake.compilations import CacheCount, Compilations, compilations_of
from smforge.bake.host import job_limits
from tests.docker.webdav_store import Dav, Store, serving
from tests.locked_tools import installed
from tests.waiting import until

pytestmark = [pytest.mark.network, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
CACHE = ROOT / "docker" / "compile-cache"
LOCK = CACHE / "requirements.txt"
ALL = {"compute_120f", "host", "sm_120f"}
AWAY = "warning: the shared compile cache does not answer; this build uses the builder's own"
TARGET = ("-gencode", "arch=compute_120f,code=sm_120f")
ANOTHER = ("-gencode", "arch=compute_121a,code=sm_121a")

KERNELS = """
template <class T> __global__ void add(T* to) { to[threadIdx.x] += T(AMOUNT); }
void start(float* to) { add<<<1, 32>>>(to); }
void start(double* to) { add<<<1, 32>>>(to); }
"""


# Nothing in it has a name outside of the file, so nvcc makes up a name for the file.
NAMELESS = """
namespace { __device__ int count; }
template <class T> __global__ void next(T* to) { *to = count++; }
template __global__ void next<int>(int*);
"""

# Long enough in the compiler proper for it to be found.
SLOW = """
template <int N> struct S {{ __device__ static float f(float x)
    {{ return S<N - 1>::f(x * x + N) + S<N - 1>::f(x - N); }} }};
template <> struct S<0> {{ __device__ static float f(float x) {{ return x; }} }};
__global__ void slow(float* p) {{ p[0] = S<{depth}>::f(p[1]); }}
"""


@pytest.fixture(scope="session")
def sccache() -> Path:
    """The sccache that the image has."""
    return installed(LOCK, "sccache") / "bin" / "sccache"


@dataclass(frozen=True, slots=True)
class Ran:
    """What one step said, and how it ended."""

    status: int
    log: str

    @property
    def compilations(self) -> Compilations:
        found = compilations_of(self.log.splitlines())
        assert found is not None, self.log[-3000:]
        return found


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a build on a machine with a cache of its own."""

    place: Path
    nvcc: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, script: str, settings: str = "") -> subprocess.Popen[str]:
        """Run a shell's script as the step; `settings` is the secret."""
        secret = self.place / "secret"
        secret.unlink(missing_ok=True)
        if settings:
            secret.write_text(settings)
        with (self.place / "log").open("w") as log:
            running = subprocess.Popen(
                (self.place / "with-compile-cache", "vllm", "sh", "-euc", script),
                cwd=self.place,
                env={**os.environ, "PATH": f"{self.place}/bin:{os.environ['PATH']}"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        self.started.append(running)
        return running

    def kill(self) -> None:
        """End all that was started."""
        for running in self.started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
            running.wait()
        for server in _servers(self.place):
            os.kill(server, signal.SIGKILL)

    def run(self, script: str, settings: str = "") -> Ran:
        status = self.start(script, settings).wait(timeout=120)
        return Ran(status, (self.place / "log").read_text())

    def compile(self, output: str, *flags: str) -> str:
        """The command that compiles the kernels through the cache."""
        words = ("sccache", self.nvcc, "-c", "kernels.cu", "-o", output, *(flags or TARGET))
        return " ".join(map(str, words))

    def forget(self) -> None:
        """Empty the cache of this machine."""
        shutil.rmtree(self.place / "cache", ignore_errors=True)


@pytest.fixture
def step(sccache: Path, nvcc: Path, tmp_path: Path) -> Iterator[Step]:
    script = (CACHE / "with-compile-cache").read_text()
    for there, here in (("/run/secrets/sccache", "secret"), ("/var/cache/sccache", "cache")):
        assert there in script
        script = script.replace(there, str(tmp_path / here))
    written = tmp_path / "with-compile-cache"
    written.write_text(script)
    written.chmod(0o755)
    for name in ("count.py", "memory.py", "peaks.py", "sampler.py", "store.py"):
        shutil.copy(CACHE / name, tmp_path)
    shutil.copy(Path(job_limits.__file__).parent / "data" / "compile_memory.json", tmp_path)
    shutil.copytree(CACHE / "launch", tmp_path / "launch")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sccache").symlink_to(sccache)
    (tmp_path / "bin" / "with-site-settings").write_text('#!/bin/sh\nexec "$@"\n')
    (tmp_path / "bin" / "with-site-settings").chmod(0o755)
    (tmp_path / "kernels.cu").write_text(f"#define AMOUNT {os.getpid()}\n{KERNELS}")
    made = Step(tmp_path, nvcc)
    yield made
    made.kill()


@pytest.fixture
def store() -> Iterator[Store]:
    with serving() as made:
        yield made


def from_cache(found: Compilations) -> bool:
    """Whether everything was found, for the target and for the host."""
    counts = found.targets
    return set(counts) == ALL and all(one.hits and not one.misses for one in counts.values())


def test_what_comes_from_the_cache_is_what_nvcc_made(step: Step) -> None:
    first = step.run(step.compile("first.o"))
    second = step.run(step.compile("second.o"))
    assert (first.status, second.status) == (0, 0), first.log + second.log
    assert set(first.compilations.targets) == ALL
    assert not any(one.hits for one in first.compilations.targets.values())
    assert from_cache(second.compilations)
    made, found = ((step.place / name).read_bytes() for name in ("first.o", "second.o"))
    assert made == found
    alone = (step.nvcc, "-c", "kernels.cu", "-o", "alone.o", *TARGET, "--objdir-as-tempdir")
    subprocess.run(alone, cwd=step.place, check=True)
    # nvcc alone gives another name to one local symbol of the host: that of the file between.
    for name in ("first.o", "alone.o"):
        subprocess.run(("objcopy", "--strip-all", name), cwd=step.place, check=True)
    assert (step.place / "first.o").read_bytes() == (step.place / "alone.o").read_bytes()


def test_a_file_without_a_name_is_compiled_to_the_same_twice(step: Step) -> None:
    (step.place / "kernels.cu").write_text(NAMELESS)
    made = []
    for _ in range(2):
        ran = step.run(step.compile("kernels.o"))
        assert ran.status == 0, ran.log
        made.append((step.place / "kernels.o").read_bytes())
        step.forget()
    assert made[0] == made[1]


def test_one_more_target_costs_that_target(step: Step) -> None:
    step.run(step.compile("one.o"))
    both = step.run(step.compile("both.o", *TARGET, *ANOTHER)).compilations.targets
    assert both["sm_120f"] == both["compute_120f"] == CacheCount(hits=1, misses=0)
    assert both["sm_121a"] == both["compute_121a"] == CacheCount(hits=0, misses=1)
    alone = step.run(step.compile("another.o", *ANOTHER)).compilations.targets
    assert alone["sm_121a"] == alone["compute_121a"] == CacheCount(hits=1, misses=0)


@pytest.mark.parametrize(
    "flags",
    [
        ("--generate-dependencies-with-compile", "--dependency-output", "kernels.d"),
        ("-rdc=true",),
        ("--threads=2",),
        ("-gencode", "arch=compute_80,code=compute_80"),
        ("--options-file", "flags.rsp"),
    ],
)
def test_forms_that_builds_use_are_cached(step: Step, flags: tuple[str, ...]) -> None:
    (step.place / "flags.rsp").write_text("-O2\n")
    command = step.compile("kernels.o", *TARGET, *flags)
    first, second = step.run(command), step.run(command)
    assert first.status == second.status == 0, first.log + second.log
    assert any(one.misses for one in first.compilations.targets.values())
    assert not any(one.misses for one in second.compilations.targets.values())
    assert second.compilations.not_cached == {}


def test_a_step_that_was_killed_finds_what_it_had_compiled(step: Step) -> None:
    running = step.start(f"{step.compile('killed.o')}; touch compiled; sleep 100")
    _wait_for(step.place / "compiled", running)
    step.kill()
    assert from_cache(step.run(step.compile("again.o")).compilations)


def _wait_for(file: Path, running: subprocess.Popen[str]) -> None:
    def is_there() -> bool:
        assert running.poll() is None
        return file.exists()

    until(is_there, seconds=100)


def test_the_next_compiler_starts_a_server_that_was_killed(step: Step) -> None:
    # A compiler that asks while the server dies fails; the next one starts it with the same cache.
    killed = f"kill -9 $({sys.executable} servers.py); sleep 2"
    (step.place / "servers.py").write_text(
        f"{_SERVERS}\nprint(*servers({str(step.place)!r}))\n", encoding="utf-8"
    )
    ran = step.run(f"{step.compile('one.o')}; {killed}; {step.compile('two.o')}")
    assert ran.status == 0, ran.log
    assert (step.place / "one.o").read_bytes() == (step.place / "two.o").read_bytes()


# Kills cicc at work for this directory, as often as the first argument says.
_KILLER = """
import os, pathlib, signal, sys, time
left, place = int(sys.argv[1]), sys.argv[2].encode()
end = time.monotonic() + 60
while left and time.monotonic() < end:
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            ours = place in command + (process / "environ").read_bytes()
            if ours and command.split(b"\\0")[0].endswith(b"cicc"):
                os.kill(int(process.name), signal.SIGKILL)
                left -= 1
                while process.exists() and time.monotonic() < end:
                    time.sleep(0.01)
        except OSError:
            continue
"""


def test_a_compiler_that_is_killed_once_is_run_again_alone(step: Step) -> None:
    ran = _killed(step, times=1)
    assert ran.status == 0, ran.log
    assert "smforge: kernels.cu: the compiler was killed; it is run once more, alone" in ran.log
    assert "killed again" not in ran.log
    assert (step.place / "kernels.o").stat().st_size


def test_what_compilers_took_is_kept_and_what_the_next_build_expects(step: Step) -> None:
    (step.place / "kernels.cu").write_text(SLOW.format(depth=15))
    kept = step.place / "cache" / "smforge" / "vllm.peaks"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"\xff broken\t\n/other.cu\tsm_80\t77\t20000\n")
    ran = step.run(step.compile("kernels.o", *TARGET, *ANOTHER))
    assert ran.status == 0, ran.log
    unit = str(step.place / "kernels.cu")
    lines = [line.split("\t") for line in kept.read_text().splitlines()]
    took = {target: int(mib) for name, target, mib, _day in lines if name == unit}
    assert set(took) == {"host", "compute_120f", "sm_120f", "compute_121a", "sm_121a"}
    assert ["/other.cu", "sm_80", "77", "20000"] in lines
    (most,) = ran.compilations.hungriest
    assert most.unit == unit
    assert took[most.target] == max(took.values())
    # The kernel's own account of the largest of nvcc's processes, without sccache.
    output = str(step.place / "alone.o")
    alone = run((str(step.nvcc), "-c", unit, "-o", output, *TARGET, *ANOTHER))
    assert alone.status == 0
    assert max(took.values()) == pytest.approx(alone.peak / (1 << 20), rel=0.25)
    # The next step has the same, and a broken line is gone.
    after = step.run("cp $SMFORGE_COMPILE_LOCKS/peaks copied")
    assert after.status == 0, after.log
    assert [line.split("\t") for line in (step.place / "copied").read_text().splitlines()] == lines
    assert after.compilations.hungriest == ()


def test_a_compiler_that_is_killed_twice_is_named(step: Step) -> None:
    ran = _killed(step, times=2)
    assert ran.status == 254, ran.log
    assert "smforge: kernels.cu: the compiler was killed again, alone" in ran.log


def _killed(step: Step, times: int) -> Ran:
    (step.place / "kernels.cu").write_text(SLOW.format(depth=15))
    (step.place / "killer.py").write_text(_KILLER)
    killer = subprocess.Popen((sys.executable, step.place / "killer.py", str(times), step.place))
    ran = step.run(step.compile("kernels.o"))
    killer.kill()
    killer.wait()
    return ran


def test_the_next_machine_takes_from_a_store(step: Step, store: Store) -> None:
    first = step.run(step.compile("first.o"), store.settings)
    step.forget()
    second = step.run(step.compile("second.o"), store.settings)
    assert (first.status, second.status) == (0, 0), first.log + second.log
    assert from_cache(second.compilations)
    # What a machine has taken once, it has for itself.
    assert from_cache(step.run(step.compile("third.o")).compilations)
    assert Dav.password not in first.log + second.log


def test_a_store_that_is_away_stops_no_build(step: Step) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    away = step.run(step.compile("kernels.o"), f"SCCACHE_WEBDAV_ENDPOINT=http://127.0.0.1:{port}\n")
    assert away.status == 0, away.log
    assert AWAY in away.log
    assert set(away.compilations.targets) == ALL


def _ask_more_often(step: Step) -> None:
    """Give the store two seconds to answer, and ask it each second."""
    file = step.place / "store.py"
    text = file.read_text()
    for before, after in (("TO_ANSWER = 10.0", "TO_ANSWER = 2"), ("BETWEEN = 30.0", "BETWEEN = 1")):
        assert before in text
        text = text.replace(before, after)
    file.write_text(text)


def test_a_store_that_says_nothing_stops_no_build(step: Step, store: Store) -> None:
    _ask_more_often(step)
    store.silent.set()
    ran = step.run(step.compile("kernels.o"), store.settings)
    assert ran.status == 0, ran.log
    assert AWAY in ran.log
    assert set(ran.compilations.targets) == ALL
    assert not _servers(step.place)


def test_a_store_that_falls_silent_is_left(step: Step, store: Store) -> None:
    # The first file waits for the store until it is left, the second does not ask it.
    _ask_more_often(step)
    first, second = step.compile("first.o"), step.compile("second.o")
    running = step.start(
        f"touch started; until [ -e silent ]; do sleep 0.1; done; {first}; {second}; {second}",
        store.settings,
    )
    _wait_for(step.place / "started", running)
    store.silent.set()
    (step.place / "silent").touch()
    assert running.wait(timeout=100) == 0, (step.place / "log").read_text()
    ran = Ran(0, (step.place / "log").read_text())
    assert "warning: the shared compile cache does not answer any more" in ran.log
    assert AWAY not in ran.log
    expected = {target: CacheCount(hits=1, misses=1) for target in ALL - {"host"}}
    assert ran.compilations.targets.items() >= expected.items()
    assert (step.place / "first.o").stat().st_size
    assert not _servers(step.place)


def test_a_store_is_not_left_for_being_silent_once_or_for_refusing(
    step: Step, store: Store
) -> None:
    _ask_more_often(step)
    first = step.compile("first.o")
    script = f"touch started; until [ -e asked ]; do sleep 0.1; done; {first}"
    running = step.start(script, store.settings)
    _wait_for(step.place / "started", running)
    for _ in range(2):
        store.wait_for(("PUT", True))  # the last request of those that ask
        store.silent.set()
        store.wait_for(("GET", False))
        store.silent.clear()
    store.refuses.set()
    for _ in range(3):
        store.wait_for(("GET", True))
    store.refuses.clear()
    store.wait_for(("PUT", True))
    (step.place / "asked").touch()
    assert running.wait(timeout=100) == 0
    assert "warning" not in (step.place / "log").read_text()
    step.forget()
    assert from_cache(step.run(step.compile("second.o"), store.settings).compilations)


def test_a_store_that_refuses_the_password_ends_the_step(step: Step, store: Store) -> None:
    refused = step.run("touch compiled", store.settings.replace(Dav.password, "canary9876543210"))
    assert refused.status == 1
    assert "status: 401" in refused.log
    assert "canary" not in refused.log
    assert not (step.place / "compiled").exists()


def test_the_status_is_that_of_the_command(step: Step) -> None:
    failed = step.run("exit 7")
    assert failed.status == 7
    assert json.loads(failed.compilations.model_dump_json())["targets"] == {}


_SERVERS = '''
from pathlib import Path

def servers(place):
    """The processes whose socket lies where this test's step made it."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes()
            command = (process / "cmdline").read_bytes().split(b"\\0")
        except OSError:
            continue
        if f"SCCACHE_DIR={place}/cache".encode() in environment and (
            command[0].endswith(b"sccache") and len(command) == 2
        ):
            yield int(process.name)
'''


def _servers(place: Path) -> list[int]:
    names: dict[str, Callable[[str], Iterator[int]]] = {}
    exec(_SERVERS, names)  # one text, which a step runs as well
    return [*names["servers"](str(place))]
