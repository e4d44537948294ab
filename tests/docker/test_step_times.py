"""What a compiling step says of its own time."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
V1 = ("cpuacct", "cpuacct.usage", "1234500000000\n")
V2 = (".", "cpu.stat", "usage_usec 1234500000\nuser_usec 1\nsystem_usec 2\n")


@pytest.fixture
def count(script: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "docker" / "compile-cache"))
    return script("compile-cache/count")


@pytest.mark.parametrize(("folder", "name", "text"), [V1, V2], ids=["version 1", "version 2"])
def test_the_cpu_time_is_that_of_the_steps_own_control_group(
    count: ModuleType, tmp_path: Path, folder: str, name: str, text: str
) -> None:
    """A step that sees the machine's groups is not among the processes of their root."""
    group = tmp_path / folder
    group.mkdir(exist_ok=True)
    (group / name).write_text(text)
    (group / "cgroup.procs").write_text("1\n7\n41\n")
    assert count.cpu_seconds(tmp_path, 7) == pytest.approx(1234.5)
    assert count.cpu_seconds(tmp_path, 4) is None


def test_no_control_group_is_no_time(count: ModuleType, tmp_path: Path) -> None:
    assert count.cpu_seconds(tmp_path, os.getpid()) is None


def test_the_wall_time_is_read_of_a_process_of_any_name(count: ModuleType, tmp_path: Path) -> None:
    odd = tmp_path / "a) 1 (b"
    shutil.copy("/bin/sleep", odd)
    with subprocess.Popen((odd, "60")) as process:
        try:
            ours, its = count.wall_seconds(os.getpid()), count.wall_seconds(process.pid)
        finally:
            process.kill()
    # The younger one has been running for less.
    assert 0 <= its <= ours
