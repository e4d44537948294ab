"""A certificate that is not valid at this machine's time: the message says to look at the clock."""

from __future__ import annotations

import os
import re
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytestmark = pytest.mark.network

ASK = """
import sys
from smforge.errors import ToolError
from smforge.oci.transport import Transport
transport = Transport("registry.example")
try:
    print(transport.send("GET", sys.argv[1], {}).status)
except ToolError as error:
    print(error)
finally:
    transport.close()
"""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize(
    ("offset", "said"),
    [
        ("+0", "204"),
        ("-3000d", "certificate is not yet valid.*look at the clock"),
        ("+3000d", "certificate has expired.*look at the clock"),
    ],
)
def test_a_wrong_clock_is_named(
    debian_package: Callable[[str], Path], tmp_path: Path, offset: str, said: str
) -> None:
    library = next(debian_package("libfaketime").rglob("libfaketime.so.1"))
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30")
    name = ("-subj", "/CN=here", "-addext", "subjectAltName=IP:127.0.0.1")
    files = ("-keyout", str(key), "-out", str(certificate))
    subprocess.run((*make, *name, *files), check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        environment = {
            **os.environ,
            "LD_PRELOAD": str(library),
            "FAKETIME": offset,
            "DONT_FAKE_MONOTONIC": "1",
            "SSL_CERT_FILE": str(certificate),
        }
        done = subprocess.run(
            (sys.executable, "-c", ASK, f"https://127.0.0.1:{server.server_port}/"),
            env=environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        server.shutdown()
        thread.join()
    assert re.search(said, done.stdout), done.stdout + done.stderr
