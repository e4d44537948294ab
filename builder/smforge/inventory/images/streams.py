"""Streams of parts that are read ahead of their reader."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_AHEAD_PARTS = 4
_JOIN_SECONDS = 10.0


@contextmanager
def read_ahead(parts: Iterator[bytes]) -> Iterator[Iterator[bytes]]:
    """Produce `parts` in a separate thread, a few parts ahead of the reader.

    Reading, hashing and inflating release the interpreter, so they run beside the reader.
    An error of the producer is raised where the reader would have met it.
    """
    ready: queue.Queue[bytes | BaseException | None] = queue.Queue(_AHEAD_PARTS)
    stop = threading.Event()

    def produce() -> None:
        last: BaseException | None = None
        try:
            for part in parts:
                ready.put(part)
                if stop.is_set():
                    return
        except BaseException as error:
            last = error
        ready.put(last)

    def consume() -> Iterator[bytes]:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    thread = threading.Thread(target=produce, name="smforge-read-ahead", daemon=True)
    thread.start()
    try:
        yield consume()
    finally:
        stop.set()
        # A source that never answers must not hold up the end of the program.
        deadline = time.monotonic() + _JOIN_SECONDS
        while thread.is_alive() and time.monotonic() < deadline:
            try:
                ready.get(timeout=0.05)
            except queue.Empty:
                thread.join(0.05)
