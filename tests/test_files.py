"""Only regular files are opened, and only up to a limit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from smforge.files import open_regular, read_small


def test_a_regular_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("a")
    assert read_small(tmp_path / "link", 5) == b"12345"
    with pytest.raises(OSError, match="longer than 4 bytes"):
        read_small(tmp_path / "a", 4)


@pytest.mark.parametrize("name", ["pipe", "folder", "device", "nowhere"])
def test_nothing_else_is_opened(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "device").symlink_to("/dev/zero")
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(OSError, match=r"not a regular file|No such file"):
        open_regular(tmp_path / name)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
