"""Several files change together, or none does."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from smforge.errors import OutputError
from smforge.workflow.bumping import writing
from smforge.writing import write_whole


def test_where_the_second_cannot_be_written_the_first_is_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk: a fault that a test cannot make for one file alone."""
    first, second = tmp_path / "versions.json", tmp_path / "pyproject.toml"
    for file in (first, second):
        file.write_text("old")

    def full(path: Path, content: bytes) -> None:
        if path == second:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_whole(path, content)

    monkeypatch.setattr(writing, "write_whole", full)
    with pytest.raises(OutputError, match=r"pyproject\.toml cannot be written: No space left"):
        writing.write_all({first: "new", second: "new"})
    assert (first.read_text(), second.read_text()) == ("old", "old")
    monkeypatch.undo()
    writing.write_all({first: "new", second: "newer"})
    assert (first.read_text(), second.read_text()) == ("new", "newer")
