"""How much the archives of one subject have unpacked to, and for how long they were read."""

from __future__ import annotations

import time
from collections.abc import Iterator

from smforge.inventory.formats.limits import Limits

_WHERE = "The archive"


class UnpackingMeter:
    """Holds all archives of a subject together to the limits of one.

    Many small archives, each within the limits, could otherwise unpack to anything.
    """

    def __init__(self, limits: Limits, packed: int = 0) -> None:
        """`packed`: the bytes of the archives, where they are known at the start."""
        self._limits = limits
        self._packed = packed
        self._unpacked = 0
        self._entries = 0
        self._started = time.monotonic()

    def add_archive(self, size: int) -> None:
        """Count an archive of `size` bytes that is not within another one."""
        self._packed += size

    def add_entry(self, size: int = 0) -> None:
        """Count an entry, which unpacks to `size` bytes that `streamed` does not count.

        Raises `LimitExceededError`.
        """
        self._entries += 1
        self._limits.check_members(self._entries, _WHERE)
        self._limits.check_subject_seconds(time.monotonic() - self._started)
        self._add_bytes(size)

    def streamed(self, parts: Iterator[bytes]) -> Iterator[bytes]:
        """Pass on what a stream unpacks to. Raises `LimitExceededError` where it is too much."""
        for part in parts:
            self._add_bytes(len(part))
            yield part

    def _add_bytes(self, size: int) -> None:
        self._unpacked += size
        self._limits.check_expansion(self._packed, self._unpacked, _WHERE)
