"""An engine that ends while a cell builds, and comes back: nothing half-written, nothing lost."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.small_site import build_command, environment, make_site, resume_command

pytestmark = [pytest.mark.engine, pytest.mark.slow]

CELLS = ("one", "two", "three")


def run(site: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=site, env=environment(site), capture_output=True, text=True, check=False
    )


def wait_for_step(site: Path, cell: str) -> None:
    """Wait until the step of a cell has said its name, which it does before it sleeps."""
    log = site / "out" / cell / "logs" / "linux-amd64" / "flashinfer-sm120f.log"
    deadline = time.monotonic() + 60
    while not (log.exists() and f"] {cell}\n" in log.read_text()):
        assert time.monotonic() < deadline, f"{log} did not come"
        time.sleep(0.05)


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_run_is_resumed_after_its_engine_has_ended(
    start_spare_engine: Callable[[Path], Any], busybox: Path, tmp_path: Path, end: str
) -> None:
    quiet, site = (make_site(tmp_path / name, busybox, CELLS, "0.05") for name in ("quiet", "site"))
    engine = start_spare_engine(tmp_path / "data")
    assert run(quiet, *build_command(*CELLS)).returncode == 0

    dockerfile = site / "context" / "Dockerfile"
    whole = dockerfile.read_text()
    # No input of a cell, like everything in context/.
    says = "echo $VARIANT; "
    slow = whole.replace(says, f"{says}test $VARIANT != two || busybox sleep 1000; ")
    assert slow != whole
    dockerfile.write_text(slow)
    build = subprocess.Popen(
        build_command(*CELLS),
        cwd=site,
        env=environment(site),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with build:
        try:
            wait_for_step(site, "two")
            getattr(engine, end)()
            out, err = build.communicate(timeout=120)
        finally:
            build.kill()
    said = out + err
    assert build.returncode == 5, said
    assert f"The Docker Engine at {engine.host} stopped during the build" in said
    assert "smforge build --resume" in said
    assert "Traceback" not in said
    assert not list(site.glob("out/*/.*.partial")) + list(site.glob("out/two/linux-amd64/*"))

    dockerfile.write_text(whole)
    engine.close()
    start_spare_engine(tmp_path / "data")
    resumed = run(site, *resume_command())
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    manifests = [(one / "out" / "manifest.json").read_bytes() for one in (quiet, site)]
    assert manifests[0] == manifests[1]
    assert "one linux/amd64: up to date" in run(site, *build_command("--explain", "one")).stdout
