"""Functions that write facts of probes as sentences."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable, Sequence

from smforge.inventory.probing.records import Raised
from smforge.inventory.records import FileInventory

_LISTED = 8
_CHARACTERS = 300
_PACKAGES = re.compile(r"/(?:site|dist)-packages/")


def listed(names: Iterable[str], most: int = _LISTED) -> str:
    """``a, b, c and 12 more``."""
    names = list(names)
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def counted(number: int, one: str, many: str) -> str:
    """``1 library``, ``20 libraries``."""
    return f"{number:,} {one if number == 1 else many}"


def raised(failure: Sequence[Raised]) -> str:
    """The last exception in one line: ``ImportError: cannot import name …``."""
    if not failure:
        return "nothing is known of it"
    return f"{failure[0].type}: {brief(failure[0].message)}"


def brief(message: str) -> str:
    """The beginning of a message, in one line, without the full stop that a sentence brings."""
    text = " ".join(message.split())
    return (text if len(text) <= _CHARACTERS else f"{text[:_CHARACTERS]}…").rstrip(".")


def is_late(ended: str | None) -> bool:
    """Whether something ended because of its time limit, so that nothing is known of it."""
    return ended is not None and ended not in signal.Signals.__members__ and "time" in ended


def path_in_subject(path: str, files: Iterable[FileInventory]) -> str:
    """The path within the subject of a file that a probe saw at an absolute path.

    A folder's paths begin within it. A file without GPU code is not among `files`; where it belongs
    to a package, it is called by its place among the packages.
    """
    below = (file.path for file in files if path.endswith(f"/{file.path}"))
    packaged = _PACKAGES.split(path, maxsplit=1)[-1]
    return max(below, key=len, default=packaged.lstrip("/"))
