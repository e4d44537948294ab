"""Writing files so that nobody ever sees half of one."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, content: str | bytes) -> None:
    """Write `content` (a text as UTF-8) so that `path` holds all of it or what it held before.

    A symbolic link keeps pointing where it points. What is no regular file (a pipe, a device) is
    written to, never replaced: a rename onto /dev/null would take it from the whole machine.
    Raises `OSError` as the file system does.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        path.write_bytes(_encoded(content))
        return
    # Beside the destination, so that the final step is a rename.
    import tempfile  # noqa: PLC0415  # defers tempfile

    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(_encoded(content))
            stream.flush()
            os.fsync(stream.fileno())
        # mkstemp's files are private; this one has the permissions of any other new file.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _encoded(content: str | bytes) -> bytes:
    return content if isinstance(content, bytes) else content.encode("utf-8")
