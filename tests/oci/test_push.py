"""Uploads to a scripted registry: what a healthy one does not do, and what an old one does not."""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from smforge.errors import ToolError
from smforge.oci import transport
from smforge.oci.credentials import Credentials
from smforge.oci.push import PushClient
from smforge.oci.reference import parse_reference

CONTENT = secrets.token_bytes(3_000_000)
DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
Fault = Callable[["Handler"], bool]


class Scripted(ThreadingHTTPServer):
    """Keeps blobs in memory, with faults that a test plans, by the method that they befall."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server_address[1]}"
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.blobs: dict[str, bytes] = {}
        self.upload = bytearray()
        self.place = ""
        self.faults: dict[str, list[Fault]] = {}
        self.login = ""
        self.connections = 0

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections += 1
        super().process_request(request, client_address)

    def methods(self) -> list[str]:
        return [method for method, _ in self.seen]


class Handler(BaseHTTPRequestHandler):
    server: Scripted
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        """Say nothing."""

    def handle_request(self) -> None:
        server = self.server
        server.seen.append((self.command, dict(self.headers)))
        if server.login and self.headers["Authorization"] != server.login:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.answer(401, {"WWW-Authenticate": 'Basic realm="here"'})
            return
        faults = server.faults.get(self.command, [])
        if faults and faults.pop(0)(self):
            return
        getattr(self, f"answer_{self.command.lower()}")()

    do_HEAD = do_GET = do_POST = do_PATCH = do_PUT = handle_request  # noqa: N815

    def answer_head(self) -> None:
        self.answer(200 if self.path.rpartition("/")[2] in self.server.blobs else 404)

    def answer_get(self) -> None:
        self.answer(204, {"Range": f"0-{max(len(self.server.upload) - 1, 0)}"})

    def answer_post(self) -> None:
        self.server.upload.clear()
        self.answer(202, {"Location": self.server.place or "/v2/image/blobs/uploads/1?state=a%2Fb"})

    def answer_patch(self) -> None:
        self.take(int(self.headers["Content-Length"]))
        self.answer(202, {"Location": "/v2/image/blobs/uploads/1?state=next"})

    def answer_put(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        digest = parse_qs(urlsplit(self.path).query)["digest"][0]
        content = bytes(self.server.upload)
        if digest != f"sha256:{hashlib.sha256(content).hexdigest()}":
            told = {"errors": [{"code": "DIGEST_INVALID", "message": "not that digest"}]}
            self.answer(400, {}, json.dumps(told).encode())
            return
        self.server.blobs[digest] = content
        self.answer(201)

    def take(self, count: int) -> None:
        while count:
            part = self.rfile.read(min(count, 1 << 16))
            if not part:
                return
            self.server.upload += part
            count -= len(part)

    def answer(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def registry() -> Iterator[Scripted]:
    server = Scripted()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of no length, where a test counts attempts."""
    monkeypatch.setattr(transport, "LONGEST_PAUSE_SECONDS", 0.01)


@pytest.fixture
def client(registry: Scripted) -> Iterator[PushClient]:
    found = Credentials("user", "secret")
    client = PushClient(parse_reference(f"{registry.host}/image:1"), lambda _host: found)
    yield client
    client.close()


def send(client: PushClient) -> list[int]:
    """Upload the content; the offsets from which it was read."""
    starts = []

    def parts_from(start: int) -> Iterator[bytes]:
        starts.append(start)
        for at in range(start, len(CONTENT), 1 << 16):
            yield CONTENT[at : at + (1 << 16)]

    client.upload(DIGEST, len(CONTENT), parts_from)
    return starts


def says(status: int, **headers: str) -> Fault:
    def fault(handler: Handler) -> bool:
        handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        handler.answer(status, {name.replace("_", "-"): headers[name] for name in headers})
        return True

    return fault


def breaks_off(after: int) -> Fault:
    """Take so many bytes, then close the connection without an answer."""

    def fault(handler: Handler) -> bool:
        handler.take(after)
        handler.close_connection = True
        return True

    return fault


def forgets_to_answer(handler: Handler) -> bool:
    """Do what is asked, and close the connection without an answer."""
    handler.answer = lambda *_: None  # type: ignore[method-assign]
    handler.close_connection = True
    return False


def test_a_healthy_registry_gets_three_requests(registry: Scripted, client: PushClient) -> None:
    assert send(client) == [0]
    assert registry.methods() == ["POST", "PATCH", "PUT"]
    assert registry.blobs == {DIGEST: CONTENT}
    assert client.has_blob(DIGEST)
    assert not client.has_blob(f"sha256:{'0' * 64}")
    assert registry.connections == 1


def test_an_upload_that_breaks_off_goes_on_where_it_ended(
    registry: Scripted, client: PushClient
) -> None:
    registry.faults["PATCH"] = [breaks_off(1_500_000), breaks_off(700_000)]
    assert send(client) == [0, 1_500_000, 2_200_000]
    assert registry.blobs[DIGEST] == CONTENT
    ranges = [headers.get("Content-Range") for name, headers in registry.seen if name == "PATCH"]
    assert ranges == [None, "1500000-2999999", "2200000-2999999"]


@pytest.mark.parametrize("received", [0, 1])
def test_an_upload_of_which_nothing_is_sure_begins_anew(
    received: int, registry: Scripted, client: PushClient
) -> None:
    registry.faults["PATCH"] = [breaks_off(received)]
    assert send(client) == [0, 0]
    assert registry.blobs[DIGEST] == CONTENT


def test_an_upload_that_has_expired_begins_anew(registry: Scripted, client: PushClient) -> None:
    registry.faults = {"PATCH": [breaks_off(1_500_000)], "GET": [says(404)]}
    assert send(client) == [0, 0]
    assert registry.methods().count("POST") == 2


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_registry_is_asked_again(
    status: int, registry: Scripted, client: PushClient
) -> None:
    busy = says(status, Retry_After="0")
    registry.faults = {name: [busy] for name in ("HEAD", "POST", "PATCH", "PUT")}
    send(client)
    assert registry.blobs[DIGEST] == CONTENT


def test_a_blob_that_arrived_without_an_answer_is_not_sent_again(
    registry: Scripted, client: PushClient
) -> None:
    registry.faults["PUT"] = [forgets_to_answer]
    assert send(client) == [0]
    assert registry.methods() == ["POST", "PATCH", "PUT", "HEAD"]


def test_attempts_are_bounded(registry: Scripted, client: PushClient) -> None:
    registry.faults["PATCH"] = [breaks_off(10)] * 100
    with pytest.raises(ToolError, match=f"did not take blob {DIGEST} .* in 8 attempts"):
        send(client)
    assert registry.methods().count("PATCH") == 8


@pytest.mark.parametrize("status", [400, 403, 413])
def test_a_refusal_is_final(status: int, registry: Scripted, client: PushClient) -> None:
    registry.faults["PATCH"] = [says(status)]
    with pytest.raises(ToolError, match=f"HTTP {status}"):
        send(client)
    assert registry.methods() == ["POST", "PATCH"]


def test_what_a_registry_says_is_told(registry: Scripted, client: PushClient) -> None:
    with pytest.raises(ToolError, match="HTTP 400: not that digest"):
        client.upload(DIGEST, 3, lambda _start: iter([b"abc"]))


def test_credentials_go_to_the_registry_alone(registry: Scripted, client: PushClient) -> None:
    other = Scripted()
    thread = threading.Thread(target=other.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    registry.login = "Basic dXNlcjpzZWNyZXQ="
    registry.place = f"http://{other.host}/elsewhere"
    try:
        assert send(client) == [0]
    finally:
        other.shutdown()
        other.server_close()
        thread.join()
    assert registry.methods() == ["POST", "POST"]
    assert other.methods() == ["PATCH", "PUT"]
    assert not any("Authorization" in headers for _, headers in other.seen)


def test_a_login_that_expires_midway_is_renewed(registry: Scripted, client: PushClient) -> None:
    registry.faults["PATCH"] = [says(401, WWW_Authenticate='Basic realm="here"')]
    assert send(client) == [0, 0]
    assert registry.seen[-1][1]["Authorization"].startswith("Basic ")


def test_an_upload_in_the_clear_is_refused(registry: Scripted, client: PushClient) -> None:
    registry.place = "http://storage.example/upload"
    with pytest.raises(ToolError, match="not over HTTPS"):
        send(client)


@pytest.mark.parametrize("listed", [True, False])
def test_a_registry_says_whether_it_lists_referrers(
    listed: bool, registry: Scripted, client: PushClient
) -> None:
    headers = {"OCI_Subject": DIGEST} if listed else {}
    registry.faults["PUT"] = [says(201, **headers)]
    assert client.put_manifest("1", b"{}", "application/vnd.oci.image.manifest.v1+json") is listed
