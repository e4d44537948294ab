"""Leads connections of a unix socket to the BuildKit of a Docker Engine.

No package of buildkitd is needed: dockerd serves BuildKit's API to a request ``POST /grpc`` that
asks for an upgrade to HTTP/2. buildx's driver ``remote`` then uses an engine as any buildkitd.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

_REQUEST = b"POST /grpc HTTP/1.1\r\nHost: engine\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
_END = b"\r\n\r\n"


@contextlib.contextmanager
def bridge(place: Path, engine: Path) -> Iterator[str]:
    """The address, for buildx, of a socket at `place` that leads to an engine's socket."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
        listener.listen()
        threading.Thread(target=_accept, args=(listener, engine), daemon=True).start()
        try:
            yield f"unix://{place}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            place.unlink()


def _accept(listener: socket.socket, engine: Path) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return  # The test has ended.
        threading.Thread(target=_lead, args=(client, engine), daemon=True).start()


def _lead(client: socket.socket, engine: Path) -> None:
    with client, socket.socket(socket.AF_UNIX) as server, contextlib.suppress(OSError):
        server.connect(str(engine))
        server.sendall(_REQUEST)
        answer = b""
        while not answer.endswith(_END):
            byte = server.recv(1)
            if not byte:
                return
            answer += byte
        back = threading.Thread(target=_pump, args=(server, client), daemon=True)
        back.start()
        _pump(client, server)
        back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
