"""A WebDAV server on loopback, as a store of sccache's, which falls silent or refuses when told."""

from __future__ import annotations

import base64
import contextlib
import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import formatdate

from tests.waiting import until


@dataclass(slots=True)
class Store:
    """A WebDAV server on loopback."""

    settings: str = ""
    """The secret that names it."""
    kept: dict[str, bytes] = field(default_factory=dict)
    silent: threading.Event = field(default_factory=threading.Event)
    """It answers no request that comes while this is set."""
    refuses: threading.Event = field(default_factory=threading.Event)
    """It lets nobody in while this is set."""
    requests: list[tuple[str, bool]] = field(default_factory=list)
    """The method of each, and whether it was answered."""

    def wait_for(self, request: tuple[str, bool]) -> None:
        """Wait for a request that comes from now on."""
        before = len(self.requests)
        until(lambda: request in self.requests[before:], seconds=100)


class Dav(http.server.BaseHTTPRequestHandler):
    """As much of WebDAV as sccache asks for, with a password."""

    protocol_version = "HTTP/1.1"
    store: Store
    password = "canary0123456789"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _handle(self) -> None:
        answered = not self.store.silent.is_set()
        self.store.requests.append((self.command, answered))
        if not answered:
            self.rfile.read()  # until the other side gives up
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        wanted = base64.b64encode(f"builder:{self.password}".encode()).decode()
        if self.store.refuses.is_set() or self.headers.get("Authorization") != f"Basic {wanted}":
            self._answer(401)
        elif self.command in {"PUT", "MKCOL"}:
            self.store.kept[self.path] = body
            self._answer(201)
        elif self.path not in self.store.kept and not self.path.endswith("/"):
            self._answer(404)
        elif self.command == "GET":
            self._answer(200, self.store.kept[self.path])
        else:
            kind = "<D:collection/>" if self.path.endswith("/") else ""
            self._answer(
                207, _properties(self.path, kind, len(self.store.kept.get(self.path, b"")))
            )

    do_GET = do_PUT = do_MKCOL = do_PROPFIND = _handle  # noqa: N815  # the names that http.server calls


def _properties(path: str, kind: str, size: int) -> bytes:
    return (
        '<?xml version="1.0"?><D:multistatus xmlns:D="DAV:"><D:response>'
        f"<D:href>{path}</D:href><D:propstat><D:prop>"
        f"<D:getlastmodified>{formatdate(usegmt=True)}</D:getlastmodified>"
        f"<D:getcontentlength>{size}</D:getcontentlength>"
        f"<D:resourcetype>{kind}</D:resourcetype>"
        "</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response></D:multistatus>"
    ).encode()


@contextlib.contextmanager
def serving() -> Iterator[Store]:
    """A store that answers until the end of the context."""
    made = Store()
    handler = type("OfStore", (Dav,), {"store": made})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        made.settings = (
            f"SCCACHE_WEBDAV_ENDPOINT=http://127.0.0.1:{server.server_port}\n"
            f"SCCACHE_WEBDAV_USERNAME=builder\nSCCACHE_WEBDAV_PASSWORD={Dav.password}\n"
        )
        yield made
        server.shutdown()
