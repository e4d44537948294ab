"""Give what a build step wrote the time of the root file system: each build has the same layer.

BuildKit can set the times when it exports (rewrite-timestamp), but that unpacks and compresses
every layer a second time, in each export. The reference is dpkg's list of packages: nothing in a
fresh root file system is newer.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_REFERENCE = "/var/lib/dpkg/status"
_MOUNT_POINT = 4
"""The field of /proc/self/mountinfo that holds it (proc_pid_mountinfo(5))."""


def settle(top: str, reference: str, mounts: frozenset[str]) -> int:
    """Set the times of everything below `top` that is newer than `reference`; returns how many.

    What is mounted is not of this layer and stays as it is, and links are not followed.
    """
    moment = Path(reference).stat().st_mtime_ns
    newer = [path for path in _paths(top, mounts) if os.lstat(path).st_mtime_ns > moment]
    for path in newer:
        os.utime(path, ns=(moment, moment), follow_symlinks=False)
    return len(newer)


def mount_points(table: str) -> frozenset[str]:
    """The mount points that the lines of a mountinfo name, without the root."""
    named = (line.split(" ")[_MOUNT_POINT] for line in table.splitlines())
    return frozenset(one.encode().decode("unicode_escape") for one in named) - {"/"}


def _paths(top: str, mounts: frozenset[str]) -> Iterator[str]:
    if top in mounts:
        return
    yield top
    with os.scandir(top) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _paths(entry.path, mounts)
            elif entry.path not in mounts:
                yield entry.path


if __name__ == "__main__":
    table = Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    print(settle("/", _REFERENCE, mount_points(table)), "times settled")
