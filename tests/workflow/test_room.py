"""Room on disks is asked for before a cell is built, from what its last build made."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from smforge.errors import BuildFailedError
from smforge.plan.records import Cell
from smforge.workflow.building.build import Builder

pytestmark = pytest.mark.engine

MakeCell = Callable[..., Cell]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(("mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(place)), check=True)
    try:
        yield place
    finally:
        subprocess.run(("umount", "--lazy", str(place)), check=False)


def test_a_cell_that_will_not_fit_is_not_begun(
    engine: str, changed: Callable[..., Builder], cell: MakeCell, small_disk: Path, project: Path
) -> None:
    builder = changed(out=small_disk)
    first = builder.build(cell("large"))
    assert first.error is None, first.error
    before = (first.paths.final / "record.json").read_bytes()
    subprocess.run(("mount", "-o", "remount,size=8m", str(small_disk)), check=True)
    (project / "docker" / "notes").write_text("Another input.\n")
    again = builder.build(cell("large"))
    assert isinstance(again.error, BuildFailedError)
    assert again.exit_code == 5
    assert "What " in again.error.message
    assert " has " in again.error.message
    assert "choose another directory with --out" in str(again.error.remedy)
    assert not again.paths.staging.exists()
    assert (first.paths.final / "record.json").read_bytes() == before


def test_a_read_only_output_is_one_sentence(
    engine: str, changed: Callable[..., Builder], cell: MakeCell, small_disk: Path
) -> None:
    subprocess.run(("mount", "-o", "remount,ro", str(small_disk)), check=True)
    built = changed(out=small_disk).build(cell("made"))
    assert built.exit_code == 5
    assert "Read-only file system" in str(built.error)
    assert "This file system is read-only" in str(built.error)
