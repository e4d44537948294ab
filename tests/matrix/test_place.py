"""Where a matrix is built from: its own checkout, else the one that smforge is run in."""

from __future__ import annotations

from pathlib import Path

import pytest

from smforge.matrix.place import BAKE_FILE, build_root


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    (folder / "ci" / "team").mkdir(parents=True)
    (folder / BAKE_FILE).touch()
    return folder


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory without docker-bake.hcl, which is also the current one."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("below", [".", "ci", "ci/team"])
@pytest.mark.usefixtures("elsewhere")
def test_the_checkout_that_a_matrix_lies_in(checkout: Path, below: str) -> None:
    assert build_root(checkout / below / "w.json") == checkout


@pytest.mark.parametrize("below", [".", "ci"])
def test_a_matrix_outside_is_built_with_the_checkout_of_the_current_directory(
    checkout: Path, elsewhere: Path, below: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(checkout / below)
    assert build_root(elsewhere / "w.json") == checkout


@pytest.mark.usefixtures("elsewhere")
def test_its_own_checkout_counts_before_that_of_the_current_directory(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / BAKE_FILE).touch()
    monkeypatch.chdir(other)
    assert build_root(checkout / "w.json") == checkout


def test_without_a_checkout_it_is_the_directory_of_the_matrix(elsewhere: Path) -> None:
    assert build_root(elsewhere / "w.json") == elsewhere
