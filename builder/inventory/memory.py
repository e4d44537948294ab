"""How a program that reads much should handle memory: for programs, not for libraries."""

from __future__ import annotations

import ctypes
import gc

_M_ARENA_MAX = -8
"""Of glibc's malloc.h; see mallopt(3)."""
_ARENAS = 2
_OFTEN = 700
"""How many new records make Python's collector begin, unless it is told otherwise."""


def share_heaps() -> None:
    """Let the threads of this process share two heaps instead of having one each.

    glibc gives every new thread a heap that keeps what was freed in it; with the threads that read
    a large image that came to half of all memory, and two heaps cost no time. Elsewhere this does
    nothing.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_ARENA_MAX, _ARENAS)


def collect_rarely() -> None:
    """Let the collector of reference cycles look at what was made a hundred times less often.

    An inventory is hundreds of thousands of records, and none of them is part of a cycle: going
    through them over and over took a tenth of an audit's time and freed nothing.
    """
    gc.set_threshold(_OFTEN * 100, 10, 10)
