"""Blobs as streams of parts, verified while they pass."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator

from smforge.errors import DamagedInputError

PART_BYTES = 1 << 20
"""Bytes per part, which is the unit of memory use."""


def file_parts(fd: int, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """Yield the bytes of an open file from `start` to `end`, or to its end."""
    while end is None or start < end:
        part = os.pread(fd, PART_BYTES if end is None else min(PART_BYTES, end - start), start)
        if not part:
            return
        yield part
        start += len(part)


def verified(parts: Iterable[bytes], digest: str, size: int | None, where: str) -> Iterator[bytes]:
    """Pass `parts` on, and raise `DamagedInputError` at their end unless they have this digest.

    `size` is the announced number of bytes; a stream that exceeds it is stopped there.
    """
    algorithm, _, expected = digest.partition(":")
    state = hashlib.new(algorithm)
    seen = 0
    for part in parts:
        seen += len(part)
        if size is not None and seen > size:
            raise DamagedInputError(f"{where} is longer than the {size} bytes announced for it.")
        state.update(part)
        yield part
    if size is not None and seen < size:
        raise DamagedInputError(f"{where} ends after {seen} of {size} bytes.")
    if state.hexdigest() != expected:
        raise DamagedInputError(
            f"{where} does not have the digest {digest} but {algorithm}:{state.hexdigest()}.",
            remedy="It was damaged in transfer or on disk: fetch or save the image again.",
        )
