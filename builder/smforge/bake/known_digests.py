"""The digests of artefacts that this host has hashed before, so that gigabytes are hashed once.

A digest is taken again as long as the file is the same by device, inode, size, and the two times
that writing to it changes, as git does it in its index. The time of change (ctime) is set by the
kernel and by no program. A file that changed in the two seconds before it was hashed is not kept,
as a later change could have the same time. This shows that nobody wrote to the file; that the disk
still gives the same bytes, only hashing shows. What is kept lies in the user's own cache: who may
write to the artefacts cannot write there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smforge.files import cache_folder, read_small, sha256_of
from smforge.writing import write_whole

_FORMAT = 1
_MOST_BYTES = 64 << 20
_SETTLED_NS = 2 * 10**9


@dataclass(slots=True)
class KnownDigests:
    """The digests of the files of one output folder."""

    store: Path
    """The file that holds them."""
    before: dict[str, Any] = field(default_factory=dict)
    """By path: what identifies the file, and its digest, as they were read."""
    now: dict[str, Any] = field(default_factory=dict)
    """The same for the files that were asked for."""
    taken: int = 0
    """The number of digests that were known and taken."""

    @classmethod
    def of(cls, folder: Path) -> KnownDigests:
        """Those that are kept for a folder; none where the file cannot be read."""
        name = hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()
        store = cache_folder("digests") / f"{name}.json"
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            document = json.loads(read_small(store, _MOST_BYTES))
            if document["format"] == _FORMAT:
                return cls(store, dict(document["files"]))
        return cls(store)

    def below(self, folder: Path) -> Callable[[Path], str]:
        """The SHA-256 of files below `folder`, each hashed only where it is not known.

        The folder may be another one than that of `of`: a build is hashed before it gets its place.
        """

        def digest(file: Path) -> str:
            name = file.relative_to(folder).as_posix()
            began = time.time_ns()
            identity = _identity(file)
            known = self.before.get(name)
            if isinstance(known, list) and known[:-1] == identity and isinstance(known[-1], str):
                self.now[name] = known
                self.taken += 1
                return known[-1]
            found = sha256_of(file)
            if identity[-1] < began - _SETTLED_NS:
                self.now[name] = [*identity, found]
            return found

        return digest

    def keep(self) -> None:
        """Keep what was asked for. What cannot be written is hashed again the next time."""
        if self.now == self.before:
            return
        text = json.dumps({"format": _FORMAT, "files": self.now}, sort_keys=True)
        with contextlib.suppress(OSError):
            self.store.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.store, text)


def _identity(file: Path) -> list[int]:
    state = file.stat()
    return [state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns]
