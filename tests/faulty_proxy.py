"""A proxy on loopback before a real server, which makes faults at chosen moments.

Everything that a fault does not touch comes from the real server: bytes, headers, ranges.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from smforge.progress import Progress

PART = 1 << 14
Fault = Callable[["Handler"], None]
"""Carries out one request, in place of passing it on."""


class Waits(Progress):
    """What the progress said, and the pauses, which take no time."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.seconds: list[float] = []

    def item(self, name: str) -> None:
        self.said += [name] if name else []


@dataclass
class Tokens:
    """Asks for a token that is good for a few requests."""

    uses: int
    issued: list[str] = field(default_factory=list)
    left: int = 0

    def issue(self) -> str:
        self.issued.append(secrets.token_hex(8))
        self.left = self.uses
        return self.issued[-1]

    def takes(self, header: str | None) -> bool:
        good = bool(self.issued) and header == f"Bearer {self.issued[-1]}" and self.left > 0
        self.left -= good
        return good


class Proxy(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.upstream = upstream
        self.host = f"127.0.0.1:{self.server_address[1]}"
        self.plans: list[tuple[str, str, list[Fault]]] = []
        self.seen: list[tuple[str, str]] = []
        self.tokens: Tokens | None = None
        self._lock = threading.Lock()

    def plan(self, method: str, part: str, *faults: Fault) -> None:
        """The next requests of this method whose path has this part get these faults, in order."""
        self.plans.append((method, part, list(faults)))

    def fault_for(self, method: str, path: str) -> Fault | None:
        with self._lock:
            self.seen.append((method, path))
            for planned, part, faults in self.plans:
                if planned == method and part in path and faults:
                    return faults.pop(0)
        return None

    def count(self, method: str, part: str = "") -> int:
        return sum(m == method and part in path for m, path in self.seen)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is expected here."""


class Handler(BaseHTTPRequestHandler):
    server: Proxy
    protocol_version = "HTTP/1.1"
    timeout = 20

    def log_message(self, *args: Any) -> None:
        """Say nothing."""

    def setup(self) -> None:
        super().setup()
        self.opened: list[HTTPConnection | HTTPResponse] = []

    def carry_out(self) -> None:
        try:
            self.answer()
        finally:
            while self.opened:
                self.opened.pop().close()

    def answer(self) -> None:
        tokens = self.server.tokens
        if tokens is not None and self.path.startswith("/token"):
            self.say(200, {}, f'{{"token": "{tokens.issue()}"}}'.encode())
            return
        fault = self.server.fault_for(self.command, self.path)
        if tokens is not None and not tokens.takes(self.headers["Authorization"]):
            self.swallow()
            realm = f'Bearer realm="http://{self.server.host}/token",service="x",scope="a:b,c"'
            self.say(401, {"WWW-Authenticate": realm}, b"{}")
            return
        if fault is None:
            self.deliver(self.ask())
        else:
            fault(self)

    do_HEAD = do_GET = do_POST = do_PATCH = do_PUT = carry_out  # noqa: N815

    @property
    def length(self) -> int:
        return int(self.headers.get("Content-Length") or 0)

    def swallow(self) -> None:
        self.rfile.read(self.length)

    def ask(self, *without: str, take: int | None = None) -> HTTPResponse:
        """The server's answer; with `take`, only so many bytes of the body are sent to it."""
        body = self.rfile.read(self.length if take is None else min(take, self.length))
        connection = HTTPConnection(self.server.upstream, timeout=20)
        self.opened.append(connection)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in {"connection", "authorization", *without}:
                connection.putheader(name, value)
        connection.endheaders(body)
        if take is not None:
            raise ConnectionAbortedError
        response = connection.getresponse()
        self.opened.append(response)
        return response

    def begin(self, answer: HTTPResponse, length: int | None = None) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in {"connection", "transfer-encoding", "content-length"}:
                self.send_header(name, value)
        if answer.status != 204:
            told = int(answer.headers.get("Content-Length") or 0)
            self.send_header("Content-Length", str(told if length is None else length))
        self.end_headers()

    def deliver(self, answer: HTTPResponse) -> None:
        self.begin(answer)
        while part := answer.read(PART):
            self.wfile.write(part)

    def say(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response_only(status)
        self.send_header("Date", headers.pop("Date", self.date_time_string()))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def reset(self) -> None:
        """End the connection as a host does that has lost it."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True


def says(status: int, **headers: str) -> Fault:
    """An answer of the proxy's own."""

    def fault(handler: Handler) -> None:
        handler.swallow()
        handler.say(status, {name.replace("_", "-"): text for name, text in headers.items()})

    return fault


def breaks_off(after: int, *, reset: bool) -> Fault:
    """The real answer, of which the connection carries only so many bytes."""

    def fault(handler: Handler) -> None:
        answer = handler.ask()
        handler.begin(answer)
        handler.wfile.write(answer.read(after))
        if reset:
            # What was sent has to arrive before the reset does.
            time.sleep(0.1)
            handler.reset()
        handler.close_connection = True

    return fault


def ends_early(missing: int) -> Fault:
    """A whole answer with a right status, whose body and Content-Length lack the last bytes."""

    def fault(handler: Handler) -> None:
        body = handler.ask().read()[:-missing]
        handler.say(200, {"Content-Type": "application/octet-stream"}, body)

    return fault


def adds(more: bytes) -> Fault:
    """A whole answer with a right status, and more at its end."""

    def fault(handler: Handler) -> None:
        handler.say(200, {}, handler.ask().read() + more)

    return fault


def changes_a_byte(handler: Handler) -> None:
    """The real answer with another byte in its middle."""
    answer = handler.ask()
    body = bytearray(answer.read())
    body[len(body) // 2] ^= 1
    handler.begin(answer)
    handler.wfile.write(body)


def ignores_range(handler: Handler) -> None:
    """The whole file, whatever range was asked for."""
    handler.deliver(handler.ask("range"))


def redirects_to(place: str) -> Fault:
    return says(307, Location=place)


def trickles(handler: Handler) -> None:
    """The real answer, byte by byte, with a pause after each."""
    answer = handler.ask()
    handler.begin(answer)
    with contextlib.suppress(OSError):
        while part := answer.read(1):
            handler.wfile.write(part)
            time.sleep(0.05)


def takes(count: int) -> Fault:
    """So many bytes of the body reach the server; then both connections end."""

    def fault(handler: Handler) -> None:
        with contextlib.suppress(ConnectionAbortedError):
            handler.ask(take=count)
        handler.reset()

    return fault


def loses_the_answer(handler: Handler) -> None:
    """The server does what is asked; the answer gets lost."""
    handler.ask().read()
    handler.reset()


@contextlib.contextmanager
def before(upstream: str) -> Iterator[Proxy]:
    """A proxy before ``HOST:PORT``."""
    with Proxy(upstream) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
