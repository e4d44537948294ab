"""What goes wrong around a build: signals, an engine that dies or is absent, a full disk."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from smforge.errors import EngineUnavailableError
from smforge.plan.records import Cell
from smforge.workflow.building.build import Builder

pytestmark = pytest.mark.engine

MakeCell = Callable[..., Cell]
StartEngine = Callable[[Path], Any]

BUILD = """
import dataclasses, sys
from pathlib import Path
from smforge.workflow.building.build import Builder
from smforge.workflow.building.messages import Messages
from smforge.workflow.building.settings import BuildSettings
from smforge.bake.host.settings import HostSettings
from smforge.matrix.load import load
from smforge.plan.resolve import resolve

matrix = load(Path(sys.argv[1]))
cell = resolve(matrix, (matrix.document.default,)).cells[0]
cell = dataclasses.replace(
    cell,
    base=dataclasses.replace(cell.base, kind="registry", suite=None),
    targets=("made",),
    variables={"TEXT": sys.argv[2], "SECONDS": sys.argv[3]},
)
settings = BuildSettings(
    matrix.path, Path(sys.argv[1]).parent / "out", HostSettings(None, "default"), Messages()
)
built = Builder(settings).build(cell)
print(built.error, flush=True)
sys.exit(built.exit_code)
"""
"""One build in a process of its own, as the command does it, for signals to be sent to."""


SECONDS = 1_000_000 + os.getpid()
"""How long the slow step takes: longer than any test, and a number that finds its process."""


@contextlib.contextmanager
def started_build(project: Path, text: str, before: str = "") -> Iterator[subprocess.Popen[str]]:
    """A build whose step is running and would not end; `before` is code that its process runs
    first.
    """
    matrix = str(project / "versions.json")
    # Where the tests run in the background, they have inherited that these signals are ignored.
    build = subprocess.Popen(
        (
            *("env", "--default-signal=INT,HUP"),
            *(sys.executable, "-c", before + BUILD, matrix, text, str(SECONDS)),
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with build:
        try:
            wait_for(lambda: compiles(project, text), "the step to run")
            yield build
        finally:
            build.kill()


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited a minute for {what}")
        time.sleep(0.05)


def compiles(project: Path, text: str) -> bool:
    log = project / "out/demo/logs/linux-amd64/made.log"
    return log.exists() and f"compiling {text}\n" in log.read_text().replace("[work 1/1] ", "")


def running_steps() -> int:
    """How many of this run's slow steps there are on this machine."""
    found = 0
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = command.read_bytes().split(b"\0")
        except OSError:
            continue
        found += words[:3] == [b"busybox", b"sleep", str(SECONDS).encode()]
    return found


def left_behind(project: Path) -> list[str]:
    """What lies below out/ besides logs and the lock."""
    variant = project / "out" / "demo"
    return sorted(p.name for p in variant.iterdir() if p.name not in {"logs", ".linux-amd64.lock"})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_the_engines_build_and_leaves_nothing(
    engine: str, project: Path, number: signal.Signals
) -> None:
    text = f"{project.parent.name}-{os.getpid()}"
    with started_build(project, text) as build:
        wait_for(lambda: running_steps() == 1, "the step's process")
        build.send_signal(number)
        out, err = build.communicate(timeout=60)
    assert build.returncode == 130, err
    assert f"Stopped by {number.name}" in out
    assert "Run the same command again: it continues from the cache." in out
    assert "Traceback" not in err
    assert left_behind(project) == []
    wait_for(lambda: running_steps() == 0, "the engine to drop the step")


@pytest.mark.skipif(not shutil.which("setpriv"), reason="only Linux ends children with parents")
def test_a_smforge_that_is_killed_takes_its_build_along(
    engine: str, project: Path, builder: Builder, cell: MakeCell
) -> None:
    with started_build(project, f"killed-{os.getpid()}") as build:
        wait_for(lambda: running_steps() == 1, "the step's process")
        build.kill()
    wait_for(lambda: running_steps() == 0, "the engine to drop the step")
    built = builder.build(cell("made", TEXT=f"after-{os.getpid()}"))
    assert built.error is None
    assert left_behind(project) == ["linux-amd64"]


def test_no_engine_is_one_sentence_with_a_remedy(
    builder: Builder, cell: MakeCell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    built = builder.build(cell("made"))
    assert isinstance(built.error, EngineUnavailableError)
    assert built.exit_code == 5
    assert f"No Docker Engine answers on unix://{tmp_path}/none.sock." in str(built.error)
    assert "tools/engine start" in str(built.error)
    assert not built.paths.staging.exists()


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_an_engine_that_ends_mid_build_is_named_as_the_cause(
    start_spare_engine: StartEngine, project: Path, tmp_path: Path, end: str
) -> None:
    spare_engine = start_spare_engine(tmp_path / "data")
    text = f"dies-{os.getpid()}"
    with started_build(project, text) as build:
        getattr(spare_engine, end)()
        out, err = build.communicate(timeout=120)
    assert build.returncode == 5, err
    assert f"The Docker Engine at {spare_engine.host} stopped during the build, " in out
    assert "while it built made (work 1/1). Start it, then run 'smforge build --resume'" in out
    assert "Traceback" not in err
    assert left_behind(project) == []


BACK = """
import smforge.bake.host.engine as engines
answer = engines.client_answer
engines.client_answer = lambda *endpoint: answer(*endpoint) or "an engine that is back"
"""


def test_an_engine_that_is_back_before_it_is_asked_is_recognised(
    start_spare_engine: StartEngine, project: Path, tmp_path: Path
) -> None:
    """What buildx says of the connection is real; that the engine answers again is not."""
    spare_engine = start_spare_engine(tmp_path / "data")
    text = f"back-{os.getpid()}"
    with started_build(project, text, BACK) as build:
        spare_engine.kill()
        out, err = build.communicate(timeout=120)
    assert build.returncode == 5, err
    assert "the engine was restarted, or the connection to it broke" in out
    assert "smforge build --resume" in out
    assert left_behind(project) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)), check=True)
    try:
        yield place
    finally:
        subprocess.run(("umount", "--lazy", str(place)), check=False)


def test_a_full_output_disk_fails_the_build_and_leaves_no_half_artefact(
    engine: str, changed: Callable[..., Builder], cell: MakeCell, small_disk: Path
) -> None:
    built = changed(out=small_disk).build(cell("large"))
    assert built.exit_code == 5
    assert "the disk is full" in str(built.error) or "No space left" in str(built.error)
    assert built.error is not None
    assert built.error.remedy is not None
    assert not built.paths.final.exists()
    assert not built.paths.staging.exists()


def test_a_full_disk_of_the_engine_is_said_in_one_sentence(
    start_spare_engine: StartEngine, small_disk: Path, builder: Builder, cell: MakeCell
) -> None:
    subprocess.run(("mount", "-o", "remount,size=64m", str(small_disk)), check=True)
    start_spare_engine(small_disk / "data")
    built = builder.build(cell("filling"))
    assert built.exit_code == 5
    assert "the disk is full" in str(built.error)
    assert "docker builder prune" in str(built.error)
