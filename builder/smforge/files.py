"""Files: opening one that somebody else chose, SHA-256, room on disks, the user's cache folder.

Only regular files are opened, and no more than a limit of them is read: opening a named pipe waits
for a writer that may never come, and a device may never end.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

from smforge.amounts import size_text
from smforge.errors import NoRoomError, OutputError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_NOT_ALLOWED = frozenset({errno.EACCES, errno.EPERM})
_ELSEWHERE = (
    "name another folder: the output, TMPDIR for temporary files, XDG_CACHE_HOME for what is kept "
    "for the next time"
)


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


def unwritten(error: OSError) -> OutputError | None:
    """What a user reads where the file system takes no more, by the kind of error.

    None for an error of another kind, which may be a defect.
    """
    if error.errno in _FULL:
        remedy = f"Free space there, or {_ELSEWHERE}."
    elif error.errno == errno.EROFS:
        remedy = f"This file system is read-only: {_ELSEWHERE}."
    elif error.errno in _NOT_ALLOWED:
        remedy = f"It belongs to another user or is protected: change that, or {_ELSEWHERE}."
    elif error.errno == errno.EIO:
        remedy = f"Look at the kernel's messages (dmesg), and {_ELSEWHERE}."
    else:
        return None
    where = f" at {error.filename}" if error.filename else ""
    return OutputError(f"Nothing more can be written{where}: {error.strerror}.", remedy=remedy)


def free_bytes(place: Path) -> int | None:
    """The bytes that this user may still write in a folder that exists or will be made.

    None where the file system does not say.
    """
    for folder in (place.absolute(), *place.absolute().parents):
        try:
            found = os.statvfs(folder)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            return None
        return found.f_bavail * found.f_frsize
    return None


def require_room(place: Path, needed: int, what: str, instead: str) -> None:
    """Raise `NoRoomError` where a folder cannot take `needed` bytes more, before any is written.

    `what` is going to be written, and `instead` is how to name another folder.
    """
    free = free_bytes(place)
    if free is None or free >= needed:
        return
    raise NoRoomError(
        f"{what} takes {size_text(needed)}, and {place} has {size_text(free)} free.",
        remedy=f"Free {size_text(needed - free)} there, or {instead}.",
    )


def why_unwritable(folder: Path) -> str | None:
    """Why no file can be made in a folder, which is made if need be; None where one can."""
    import tempfile  # noqa: PLC0415 - slow to load

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(1 << 12))
    except OSError as error:
        return error.strerror or str(error)
    return None


def this_or_temporary(folder: Path, note: Callable[[str], None]) -> Path:
    """A folder of the cache, or, where it cannot be written, one that ends with this process.

    `note` gets a sentence in that case. Raises `OSError` where there is no temporary folder either.
    """
    why = why_unwritable(folder)
    if why is None:
        return folder
    note(f"{folder} cannot be written ({why}): nothing is kept for the next time.")
    return temporary_folder()


def temporary_folder() -> Path:
    """A new folder that is removed when this process ends."""
    import atexit  # noqa: PLC0415 - rarely needed
    import shutil  # noqa: PLC0415 - rarely needed
    import tempfile  # noqa: PLC0415 - slow to load

    place = Path(tempfile.mkdtemp(prefix="smforge-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return place


def cache_folder(name: str) -> Path:
    """The folder `name` of smforge's cache: below XDG_CACHE_HOME, else below ``~/.cache``.

    Source: XDG Base Directory Specification. The folder need not exist.
    """
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "smforge" / name
