"""Keeps the memory that threads leave behind small."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""Of glibc's malloc.h; see mallopt(3)."""
_ARENAS = 2
_PAYLOAD = 32 << 20
"""Bytes up to which memory comes from a heap and goes back to it: the most that glibc takes."""
_KEPT = 32 << 20
"""Bytes that a heap keeps for the next payload."""


def share_heaps() -> None:
    """Let the threads of this process share two heaps instead of having one each.

    glibc gives every new thread a heap that keeps what was freed in it; with the threads that read
    a large image that came to half of all memory, and two heaps cost no time. They keep the memory
    of one payload for the next: asking the kernel for it anew, which clears it, took a quarter of
    the time of reading LZ4. Elsewhere this does nothing. For programs: a library leaves the
    allocator alone.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_ARENA_MAX, _ARENAS)
    mallopt(_M_MMAP_THRESHOLD, _PAYLOAD)
    mallopt(_M_TRIM_THRESHOLD, _KEPT)
