"""A repair that is asked to end takes its assemblers along, and leaves nothing half made."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PTXAS = """#!/bin/sh
if [ "$1" = --version ]; then echo "Cuda compilation tools, release 13.0, V13.0.88"; exit; fi
echo $$ >{pids}/$$
exec sleep 600
"""
_SECONDS = 60


def waited_for(true: Callable[[], object], what: str) -> None:
    for _ in range(_SECONDS * 10):
        if true():
            return
        time.sleep(0.1)
    pytest.fail(f"{what} did not happen in {_SECONDS} s")


def is_running(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def heeded() -> Iterator[None]:
    """SIGINT as programs in a terminal have it: the background jobs of a shell ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_assemblers_end_with_smforge(
    ptx_library: Path, tmp_path: Path, number: signal.Signals
) -> None:
    pids, ptxas, cache = tmp_path / "pids", tmp_path / "ptxas", tmp_path / "cache"
    pids.mkdir()
    ptxas.write_text(PTXAS.format(pids=pids))
    ptxas.chmod(0o755)
    command = (
        sys.executable, "-m", "smforge", "repair", ptx_library, "--for", "12.0",
        "--ptxas", ptxas, "-o", tmp_path / "out.so",
    )  # fmt: skip
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as process:
        waited_for(lambda: any(pids.iterdir()), "an assembler's start")
        process.send_signal(number)
        waited_for(lambda: process.poll() is not None, "smforge's end")
    begun = [one.name for one in pids.iterdir()]
    waited_for(lambda: not any(map(is_running, begun)), "the assemblers' end")
    assert not list(cache.rglob(".making-*"))
    assert not (tmp_path / "out.so").exists()
