"""Files: opening one that somebody else chose, SHA-256, and the user's cache folder.

Only regular files are opened, and no more than a limit of them is read: opening a named pipe waits
for a writer that may never come, and a device may never end.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def open_regular(path: str | Path) -> int:
    """Open a regular file for reading and return its descriptor, which the caller closes.

    Raises `OSError` as the file system does, and for what is no regular file.
    """
    # Without waiting: a pipe opens at once, and is closed again.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "it is not a regular file", str(path))


def read_small(path: str | Path, limit: int) -> bytes:
    """Return the content of a regular file of at most `limit` bytes.

    Raises `OSError` as `open_regular` does, and for a longer file.
    """
    with os.fdopen(open_regular(path), "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"it is longer than {limit} bytes", str(path))
    return data


def head_of(path: str | Path, most: int) -> bytes:
    """The first `most` bytes of a regular file; empty for whatever cannot be read as one."""
    try:
        with os.fdopen(open_regular(path), "rb") as file:
            return file.read(most)
    except (OSError, ValueError):
        # A folder, a reference to an image, or nothing at all.
        return b""


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal. Raises `OSError` as the file system does."""
    import hashlib  # noqa: PLC0415  # defers OpenSSL

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cache_folder(name: str) -> Path:
    """The folder `name` of smforge's cache: below XDG_CACHE_HOME, else below ``~/.cache``.

    Source: XDG Base Directory Specification. The folder need not exist.
    """
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "smforge" / name
