"""SHA-256 of a blob, computed while other things are read."""

from __future__ import annotations

import hashlib
import threading

from smforge.inventory.formats.blob import CHUNK, Blob, chunks

_INLINE = 4 * CHUNK


class Hashing:
    """A hash under way. The blob must stay open until `hexdigest` or `wait` has returned."""

    def __init__(self, blob: Blob) -> None:
        self._hash = hashlib.sha256()
        self._error: BaseException | None = None
        self._stopped = False
        self._thread: threading.Thread | None = None
        if blob.size <= _INLINE:
            self._run(blob)
        else:
            self._thread = threading.Thread(target=self._run, args=(blob,), daemon=True)
            self._thread.start()

    def _run(self, blob: Blob) -> None:
        try:
            for part in chunks(blob, 0, blob.size):
                if self._stopped:
                    return
                self._hash.update(part)
        except BaseException as error:
            self._error = error

    def hexdigest(self) -> str:
        """Wait for the end. Raises what reading the blob raised."""
        self._join()
        if self._error is not None:
            raise self._error
        return self._hash.hexdigest()

    def stop(self) -> None:
        """Give up, and wait until the blob is no longer being read."""
        self._stopped = True
        self._join()

    def _join(self) -> None:
        if self._thread is not None:
            self._thread.join()


def sha256_between(blob: Blob, start: int, end: int) -> str:
    """Hash the bytes from `start` to `end` at once."""
    digest = hashlib.sha256()
    for part in chunks(blob, start, end):
        digest.update(part)
    return digest.hexdigest()


def sha256_of(blob: Blob) -> str:
    """Hash a blob at once."""
    return Hashing(blob).hexdigest()
