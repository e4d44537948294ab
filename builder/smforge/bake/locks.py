"""Locks on files that end with the last process that holds them.

A lock of flock(2) belongs to an open file, and a child that inherits the file holds it too. So the
lock of a build is held until its buildx has ended, even when smforge was killed before.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_STEP_SECONDS = 0.1


class NotFreeError(Exception):
    """Another process holds the lock."""


@contextmanager
def locked(path: Path, seconds: float | None = 0.0) -> Iterator[int]:
    """Hold the lock of a file, which is made where it is not there; the result is its descriptor.

    Waits at most `seconds`, without end for None, and raises `NotFreeError` then. Raises `OSError`
    as the file system does.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        _wait(descriptor, path, None if seconds is None else time.monotonic() + seconds)
        yield descriptor
    finally:
        # Closing gives it up, unless a child still has the file open.
        os.close(descriptor)


def _wait(descriptor: int, path: Path, deadline: float | None) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if deadline is not None and time.monotonic() >= deadline:
                raise NotFreeError(str(path)) from None
            time.sleep(_STEP_SECONDS)
        else:
            return
