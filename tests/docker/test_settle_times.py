"""docker/image/settle_times.py on real files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

OLD, REFERENCE = 1_000_000_000, 1_500_000_000


@pytest.fixture
def settling(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("image/settle_times")


def test_what_is_newer_gets_the_time_of_the_reference_and_nothing_else(
    settling: ModuleType, tmp_path: Path
) -> None:
    reference = tmp_path / "reference"
    top = tmp_path / "top"
    (top / "written").mkdir(parents=True)
    (top / "mounted").mkdir()
    for name in ("written/new", "written/old", "mounted/file", "single"):
        (top / name).touch()
    (top / "written" / "link").symlink_to(reference)
    reference.touch()
    os.utime(reference, (REFERENCE, REFERENCE))
    os.utime(top / "written" / "old", (OLD, OLD))
    mounts = frozenset({str(top / "mounted"), str(top / "single")})
    kept = {name: (top / name).stat().st_mtime_ns for name in ("mounted", "mounted/file", "single")}

    assert settling.settle(str(top), str(reference), mounts) == 4

    times = {name: (top / name).lstat().st_mtime for name in ("written", "written/new")}
    assert set(times.values()) == {REFERENCE}
    assert (top / "written" / "link").lstat().st_mtime == REFERENCE
    assert reference.stat().st_mtime == REFERENCE
    assert (top / "written" / "old").stat().st_mtime == OLD
    assert {name: (top / name).stat().st_mtime_ns for name in kept} == kept
    assert settling.settle(str(top), str(reference), mounts) == 0


def test_mount_points_come_from_the_kernels_table(settling: ModuleType) -> None:
    table = (
        "36 35 0:40 / / rw,relatime - overlay overlay rw\n"
        r"37 36 0:41 / /opt/with\040space ro - tmpfs tmpfs rw" + "\n"
    )
    assert settling.mount_points(table) == {"/opt/with space"}
