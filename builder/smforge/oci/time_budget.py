"""Ends the waiting for a registry that makes no progress, however little it sends.

A time limit for each read is not enough: a server that sends one byte a minute never exceeds it.
So a session has a fixed budget in seconds. Waiting spends it, received bytes give it
back, and at its end the session fails. The whole time is at most the budget, plus the bytes
divided by `LEAST_BYTES_PER_SECOND`, plus `ANSWER_SECONDS` for each answer.
"""

from __future__ import annotations

import io
import socket
import time
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from smforge.errors import ToolError

MOST_SECONDS = 120.0
LEAST_BYTES_PER_SECOND = 16 << 10
ANSWER_SECONDS = 5.0
"""The seconds that an answer gives back, whatever its length: registries answer many small
requests.
"""


class TimeBudget:
    """How many more seconds a session waits for `host`."""

    def __init__(self, host: str, seconds: float | None = None) -> None:
        self._host = host
        self._most = MOST_SECONDS if seconds is None else seconds
        self.left = self._most

    def spend(self, seconds: float, received: int = 0) -> None:
        """Count `seconds` of waiting, and the bytes that it brought.

        Raises `ToolError` when no budget is left.
        """
        earned = received / LEAST_BYTES_PER_SECOND
        self.left = min(self.left - seconds + earned, max(self._most, self.left))
        if self.left <= 0:
            raise ToolError(
                f"{self._host} makes no progress: it kept this program waiting for "
                f"{self._most:g} seconds in all and sent almost nothing.",
                remedy="Try again later, or fetch the image in another way.",
            )

    def answered(self) -> None:
        """Count an answer as progress."""
        self.left = max(self.left, min(self.left + ANSWER_SECONDS, self._most))

    def allow(self, seconds: float) -> None:
        """Wait up to `seconds` for the next answer, even where less budget is left."""
        self.left = max(self.left, seconds)

    def pause(self, seconds: float) -> None:
        """Sleep. Raises `ToolError` when no budget is left."""
        self.spend(seconds)
        time.sleep(seconds)


def use(budget: TimeBudget, pool: urllib3.PoolManager) -> urllib3.PoolManager:
    """Let every connection of `pool` count its waiting with `budget`. Returns the pool."""

    class Connection(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            self.sock = _paced(self.sock, budget)

    class SecureConnection(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            self.sock = _paced(self.sock, budget)

    class Pool(urllib3.HTTPConnectionPool):
        ConnectionCls = Connection

    class SecurePool(urllib3.HTTPSConnectionPool):
        ConnectionCls = SecureConnection

    pool.pool_classes_by_scheme = {"http": Pool, "https": SecurePool}
    return pool


def _paced(sock: Any, budget: TimeBudget) -> Any:
    # TLS within TLS, through a proxy that itself speaks TLS, is no socket; its reads have a limit.
    return _PacedSocket(sock, budget) if isinstance(sock, socket.socket) else sock


class _PacedSocket:
    """A socket whose answers are read with a budget."""

    def __init__(self, sock: socket.socket, budget: TimeBudget) -> None:
        self._sock = sock
        self._budget = budget

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        """The bytes of one answer, as `http.client` asks for them."""
        return io.BufferedReader(_PacedStream(self._sock, self._budget))


class _PacedStream(io.RawIOBase):
    def __init__(self, sock: socket.socket, budget: TimeBudget) -> None:
        self._sock = sock
        self._budget = budget
        # The socket counts its files, and closes after the last.
        self._stream = sock.makefile("rb", buffering=0)
        self._longest = sock.gettimeout()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._budget.left
        longest = left if self._longest is None else min(left, self._longest)
        self._sock.settimeout(max(longest, 0.001))
        started = time.monotonic()
        count = 0
        try:
            count = self._stream.readinto(buffer) or 0
        finally:
            # The same connection may send the next request.
            self._sock.settimeout(self._longest)
            self._budget.spend(time.monotonic() - started, count)
        return count

    def close(self) -> None:
        self._stream.close()
        super().close()
