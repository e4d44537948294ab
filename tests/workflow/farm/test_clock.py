"""A machine whose clock is wrong, or is set back while it builds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.small_site import build_command, environment, make_site

pytestmark = [pytest.mark.engine, pytest.mark.slow]

CELLS = ("one", "two")


SHIFTED = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *now) {
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(id, now);
    FILE *told = id == CLOCK_REALTIME ? fopen(getenv("CLOCK_FILE"), "r") : NULL;
    long seconds;
    if (told != NULL) {
        if (fscanf(told, "%ld", &seconds) == 1) now->tv_sec += seconds;
        fclose(told);
    }
    return result;
}
"""
"""libfaketime also changes how a process sleeps, and Python cannot sleep with it."""


@pytest.fixture(scope="module")
def shifted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that shifts the clock of a process by the seconds in a file."""
    place = tmp_path_factory.mktemp("clock")
    (place / "shifted.c").write_text(SHIFTED)
    compile_it = ("cc", "-shared", "-fPIC", "-o", "shifted.so", "shifted.c", "-ldl")
    subprocess.run(compile_it, cwd=place, check=True)
    return place / "shifted.so"


@pytest.fixture
def clock(tmp_path: Path) -> Path:
    """The file that says by how many seconds the clock of a command is off."""
    (tmp_path / "clock").write_text("0")
    return tmp_path / "clock"


def skewed(site: Path, shifted: Path, clock: Path) -> dict[str, str]:
    return {**environment(site), "LD_PRELOAD": str(shifted), "CLOCK_FILE": str(clock)}


def records_of(site: Path) -> list[dict[str, object]]:
    return [json.loads(path.read_text()) for path in site.glob("out/*/linux-amd64/record.json")]


def test_a_clock_that_is_set_back_during_a_run_changes_no_result(
    engine: str, busybox: Path, shifted: Path, clock: Path, tmp_path: Path
) -> None:
    right, site = (make_site(tmp_path / name, busybox, CELLS, "1") for name in ("right", "site"))
    ordinary = environment(right)
    subprocess.run(build_command(*CELLS), cwd=right, env=ordinary, check=True, capture_output=True)
    build = subprocess.Popen(
        build_command(*CELLS),
        cwd=site,
        env=skewed(site, shifted, clock),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with build:
        log = site / "out" / "one" / "logs" / "linux-amd64" / "flashinfer-sm120f.log"
        deadline = time.monotonic() + 60
        while not (log.exists() and "] one\n" in log.read_text()):
            assert time.monotonic() < deadline
            assert build.poll() is None
            time.sleep(0.02)
        clock.write_text("-10800")
        said = build.communicate(timeout=120)[0]
    assert build.returncode == 0, said
    manifests = [(one / "out" / "manifest.json").read_bytes() for one in (right, site)]
    assert manifests[0] == manifests[1]
    for record in records_of(site):
        assert 0 <= float(str(record["seconds"])) < 3000
        assert str(record["started"]) <= str(record["finished"])
    show = (sys.executable, "-m", "smforge", "timeline", "-o", "json")
    done = subprocess.run(show, cwd=site, env=ordinary, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    cells = json.loads(done.stdout)["cells"]
    assert [one["cell"].partition("-")[0] for one in cells] == list(CELLS)
    assert all(0 <= one["begin"] <= one["end"] for one in cells)


def test_a_record_from_the_future_is_up_to_date(
    engine: str, busybox: Path, shifted: Path, clock: Path, tmp_path: Path
) -> None:
    """What is up to date is decided by digests, never by times."""
    site = make_site(tmp_path / "site", busybox, CELLS, "0.05")
    clock.write_text("34560000")
    done = subprocess.run(
        build_command("one"),
        cwd=site,
        env=skewed(site, shifted, clock),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for path in site.rglob("*"):
        os.utime(path, (4e9, 4e9), follow_symlinks=False)
    again = subprocess.run(
        build_command("one"), cwd=site, env=environment(site), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert "up to date" in again.stdout
