"""Staging: artefacts get to their place whole or not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from smforge.bake.cell_paths import REJECTION_NOTE, CellPaths, promote, recover, reject, staging
from smforge.errors import BuildFailedError


@pytest.fixture
def paths(tmp_path: Path) -> CellPaths:
    return CellPaths(tmp_path, "demo", "linux/amd64")


def stage(paths: CellPaths, text: str) -> None:
    (paths.staging / "x.whl").write_text(text)


def test_a_build_that_raises_leaves_nothing_and_keeps_the_former(paths: CellPaths) -> None:
    with staging(paths):
        stage(paths, "first")
        promote(paths)

    def fail() -> None:
        with staging(paths):
            stage(paths, "second")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not paths.staging.exists()
    assert (paths.final / "x.whl").read_text() == "first"


def test_new_artefacts_replace_all_of_the_former(paths: CellPaths) -> None:
    with staging(paths):
        (paths.staging / "old.whl").write_text("old")
        promote(paths)
    with staging(paths):
        stage(paths, "new")
        promote(paths)
    assert [path.name for path in paths.final.iterdir()] == ["x.whl"]
    assert not paths.previous.exists()


def test_rejected_artefacts_are_kept_apart_with_a_note_until_some_pass(paths: CellPaths) -> None:
    with staging(paths):
        stage(paths, "good")
        promote(paths)
    with staging(paths):
        stage(paths, "bad")
        reject(paths, "12.1 is missing")
    assert (paths.final / "x.whl").read_text() == "good"
    assert (paths.rejected / "x.whl").read_text() == "bad"
    assert (paths.rejected / REJECTION_NOTE).read_text() == "12.1 is missing\n"
    with staging(paths):
        stage(paths, "better")
        promote(paths)
    assert not paths.rejected.exists()


def test_a_process_killed_between_the_two_renames_loses_nothing(paths: CellPaths) -> None:
    with staging(paths):
        stage(paths, "first")
        promote(paths)
    # The state that a kill after the first rename of `promote` leaves.
    paths.final.replace(paths.previous)
    paths.staging.mkdir()
    stage(paths, "half")
    with staging(paths):
        assert (paths.final / "x.whl").read_text() == "first"
        assert list(paths.staging.iterdir()) == []


def test_a_process_killed_after_the_second_rename_leaves_no_rubbish(paths: CellPaths) -> None:
    with staging(paths):
        stage(paths, "first")
        promote(paths)
    paths.previous.mkdir()
    with staging(paths):
        pass
    assert not paths.previous.exists()
    assert (paths.final / "x.whl").read_text() == "first"


def test_two_builds_of_one_cell_do_not_mix(
    paths: CellPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smforge.bake.cell_paths._ENDING_SECONDS", 0.3)
    holder = subprocess.Popen(
        (
            sys.executable,
            "-c",
            "import sys\n"
            "from pathlib import Path\n"
            "from smforge.bake.cell_paths import CellPaths, staging\n"
            "with staging(CellPaths(Path(sys.argv[1]), 'demo', 'linux/amd64')):\n"
            "    print('held', flush=True)\n"
            "    sys.stdin.read()\n",
            str(paths.out),
        ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(BuildFailedError, match="Another smforge is building demo"):
            staging(paths).__enter__()
        other = CellPaths(paths.out, "demo", "linux/arm64")
        with staging(other):
            pass
        holder.kill()
    # The lock goes with its process, however that ends.
    with staging(paths):
        pass


def test_what_killed_runs_left_is_undone_and_nothing_else(paths: CellPaths) -> None:
    with staging(paths):
        stage(paths, "first")
        promote(paths)
    paths.staging.mkdir()
    paths.previous.mkdir()
    (paths.logs / ".record.json.a1b2c3d4").touch()
    (paths.logs / ".keep").touch()
    (paths.out / ".journal.jsonl.a1b2c3d4").touch()
    foreign = paths.out / "foreign"
    (foreign / ".tool.partial").mkdir(parents=True)
    (foreign / ".tool.lock").touch()
    recover(paths.out)
    assert not paths.staging.exists()
    assert not paths.previous.exists()
    assert (paths.final / "x.whl").read_text() == "first"
    assert [one.name for one in paths.logs.iterdir()] == [".keep"]
    assert not (paths.out / ".journal.jsonl.a1b2c3d4").exists()
    assert (foreign / ".tool.partial").is_dir()


def test_a_cell_that_is_being_built_is_left_alone(paths: CellPaths) -> None:
    with staging(paths):
        stage(paths, "half")
        recover(paths.out)
        assert (paths.staging / "x.whl").read_text() == "half"


def test_a_lock_is_held_until_a_child_that_inherited_it_has_ended(
    paths: CellPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smforge.bake.cell_paths._ENDING_SECONDS", 0.3)
    with staging(paths) as lock:
        child = subprocess.Popen(("sleep", "60"), pass_fds=(lock,))
    try:
        with pytest.raises(BuildFailedError, match="Another smforge is building demo"):
            staging(paths).__enter__()
    finally:
        child.kill()
        child.wait()
    with staging(paths):
        pass
