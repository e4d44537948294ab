"""The files that were fetched, each kept under its SHA-256."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Final

from smforge.files import cache_folder

MOST_BYTES: Final = 20 << 30
"""Bytes that are kept; what was used longest ago is removed first."""
_PLAIN: Final = re.compile(r"[^\w.+!-]")


def kept(sha256: str, name: str) -> Path | None:
    """The file with this digest, if it was fetched before."""
    path = _place(sha256, name)
    if not path.is_file():
        return None
    with contextlib.suppress(OSError):
        path.touch()
    return path


def keep(fetched: Path, sha256: str, name: str) -> Path:
    """Move a fetched file to its place, remove what is too much, and return the place."""
    path = _place(sha256, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    fetched.replace(path)
    path.touch()
    _remove_oldest(path)
    return path


def folder() -> Path:
    """Where the files lie."""
    return cache_folder("fetched")


def plain_name(name: str) -> str:
    """A name of a file that leads nowhere else."""
    return _PLAIN.sub("_", name).lstrip(".") or "file"


def _place(sha256: str, name: str) -> Path:
    return folder() / sha256 / plain_name(name)


def _remove_oldest(just_kept: Path) -> None:
    """Another process may remove the same files."""
    with contextlib.suppress(OSError):
        files = [path for path in folder().glob("*/*") if path.is_file() and path != just_kept]
        sizes = {path: path.stat() for path in files}
        left = MOST_BYTES - just_kept.stat().st_size
        for path in sorted(files, key=lambda one: sizes[one].st_mtime, reverse=True):
            left -= sizes[path].st_size
            if left < 0:
                path.unlink(missing_ok=True)
                path.parent.rmdir()
