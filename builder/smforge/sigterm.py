"""How a command ends when it is asked to."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator


@contextlib.contextmanager
def ended_tidily() -> Iterator[None]:
    """Take a request to end like an interrupt, so that CMake and its directories go too."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
