"""Keeps the memory that threads leave behind small."""

from __future__ import annotations

import ctypes

_M_ARENA_MAX = -8
"""Of glibc's malloc.h; see mallopt(3)."""
_ARENAS = 2


def share_heaps() -> None:
    """Let the threads of this process share two heaps instead of having one each.

    glibc gives every new thread a heap that keeps what was freed in it; with the threads that read
    a large image that came to half of all memory, and two heaps cost no time. Elsewhere this does
    nothing. For programs: a library leaves the allocator alone.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_ARENA_MAX, _ARENAS)
