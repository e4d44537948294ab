"""Digests that are known from before: taken while nobody wrote to the file, and only then."""

from __future__ import annotations

import os
import time
from hashlib import sha256
from pathlib import Path

import pytest

from smforge.bake.known_digests import KnownDigests


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a file that was written long enough ago."""
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "wheel").write_bytes(b"one")
    time.sleep(2.1)
    return folder


def ask(folder: Path) -> tuple[str, int]:
    """The digest of the file, and how many were known."""
    known = KnownDigests.of(folder)
    found = known.below(folder)(folder / "wheel")
    known.keep()
    return found, known.taken


ONE, TWO = sha256(b"one").hexdigest(), sha256(b"two").hexdigest()


def test_a_file_is_hashed_once(folder: Path) -> None:
    assert ask(folder) == (ONE, 0)
    assert ask(folder) == (ONE, 1)


def test_what_is_written_with_the_old_size_and_time_is_hashed_again(folder: Path) -> None:
    ask(folder)
    state = (folder / "wheel").stat()
    (folder / "wheel").write_bytes(b"two")
    os.utime(folder / "wheel", ns=(state.st_atime_ns, state.st_mtime_ns))
    assert ask(folder) == (TWO, 0)


def test_another_file_in_its_place_is_hashed_again(folder: Path) -> None:
    ask(folder)
    (folder / "other").write_bytes(b"two")
    (folder / "other").replace(folder / "wheel")
    assert ask(folder) == (TWO, 0)


def test_a_file_that_was_just_written_is_not_kept(folder: Path) -> None:
    (folder / "wheel").write_bytes(b"two")
    ask(folder)
    assert ask(folder) == (TWO, 0)


def test_what_moves_with_its_folder_stays_known(folder: Path) -> None:
    known = KnownDigests.of(folder.with_name("final"))
    known.below(folder)(folder / "wheel")
    folder.rename(folder.with_name("final"))
    known.keep()
    assert ask(folder.with_name("final")) == (ONE, 1)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1, "files": {"wheel": "0"}}'])
def test_a_spoilt_store_is_as_none(folder: Path, text: str) -> None:
    store = KnownDigests.of(folder).store
    store.parent.mkdir(parents=True)
    store.write_text(text)
    assert ask(folder) == (ONE, 0)
