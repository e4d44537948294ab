"""Staging: artefacts get to their place whole or not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from smforge.bake.cell_paths import REJECTION_NOTE, CellPlaces, promote, reject, staging
from smforge.errors import BuildFailedError


@pytest.fixture
def places(tmp_path: Path) -> CellPlaces:
    return CellPlaces(tmp_path, "demo", "linux/amd64")


def stage(places: CellPlaces, text: str) -> None:
    (places.staging / "x.whl").write_text(text)


def test_a_build_that_raises_leaves_nothing_and_keeps_the_former(places: CellPlaces) -> None:
    with staging(places):
        stage(places, "first")
        promote(places)

    def fail() -> None:
        with staging(places):
            stage(places, "second")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not places.staging.exists()
    assert (places.final / "x.whl").read_text() == "first"


def test_new_artefacts_replace_all_of_the_former(places: CellPlaces) -> None:
    with staging(places):
        (places.staging / "old.whl").write_text("old")
        promote(places)
    with staging(places):
        stage(places, "new")
        promote(places)
    assert [path.name for path in places.final.iterdir()] == ["x.whl"]
    assert not places.previous.exists()


def test_rejected_artefacts_are_kept_apart_with_a_note_until_some_pass(places: CellPlaces) -> None:
    with staging(places):
        stage(places, "good")
        promote(places)
    with staging(places):
        stage(places, "bad")
        reject(places, "12.1 is missing")
    assert (places.final / "x.whl").read_text() == "good"
    assert (places.rejected / "x.whl").read_text() == "bad"
    assert (places.rejected / REJECTION_NOTE).read_text() == "12.1 is missing\n"
    with staging(places):
        stage(places, "better")
        promote(places)
    assert not places.rejected.exists()


def test_a_process_killed_between_the_two_renames_loses_nothing(places: CellPlaces) -> None:
    with staging(places):
        stage(places, "first")
        promote(places)
    # The state that a kill after the first rename of `promote` leaves.
    places.final.replace(places.previous)
    places.staging.mkdir()
    stage(places, "half")
    with staging(places):
        assert (places.final / "x.whl").read_text() == "first"
        assert list(places.staging.iterdir()) == []


def test_a_process_killed_after_the_second_rename_leaves_no_rubbish(places: CellPlaces) -> None:
    with staging(places):
        stage(places, "first")
        promote(places)
    places.previous.mkdir()
    with staging(places):
        pass
    assert not places.previous.exists()
    assert (places.final / "x.whl").read_text() == "first"


def test_two_builds_of_one_cell_do_not_mix(places: CellPlaces) -> None:
    holder = subprocess.Popen(
        (
            sys.executable,
            "-c",
            "import sys\n"
            "from pathlib import Path\n"
            "from smforge.bake.cell_paths import CellPlaces, staging\n"
            "with staging(CellPlaces(Path(sys.argv[1]), 'demo', 'linux/amd64')):\n"
            "    print('held', flush=True)\n"
            "    sys.stdin.read()\n",
            str(places.out),
        ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(BuildFailedError, match="Another smforge is building demo"):
            staging(places).__enter__()
        other = CellPlaces(places.out, "demo", "linux/arm64")
        with staging(other):
            pass
        holder.kill()
    # The lock goes with its process, however that ends.
    with staging(places):
        pass
