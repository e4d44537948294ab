"""Images from registries: a real one on loopback, and a scripted one for faults and tokens."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from smforge.errors import DamagedInputError, ToolError, UsageError
from smforge.inventory.options import ReadOptions
from smforge.inventory.subjects import oci, registry
from smforge.oci import time_budget, transport
from smforge.oci.reference import stays_secret

FilesOf = Callable[[Any], dict[str, bytes]]

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONTENT = secrets.token_bytes(3_000_000)


def read(argument: str, platform: str | None = None) -> Any:
    return registry.open_subject(argument, ReadOptions(platform=platform))


@pytest.fixture
def layout(writing: Any) -> Any:
    layout = writing.layout()
    layout.add([writing.layer(("file", "a", CONTENT)), writing.layer(("file", "b", b"b"))])
    return layout


@pytest.fixture(autouse=True)
def docker_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in place of this machine's own logins."""
    folder = tmp_path / "docker"
    folder.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    return folder


# A real registry.


@pytest.mark.network
def test_a_registry_gives_the_same_image_as_a_layout(
    writing: Any, serving: Callable[..., Any], layout: Any, files_of: FilesOf, tmp_path: Path
) -> None:
    local = oci.open_subject(str(layout.write_folder(tmp_path / "layout")), ReadOptions())
    with serving(tmp_path) as host:
        writing.push(host, "team/image:1", layout)
        remote = read(f"{host}/team/image:1")
        assert files_of(remote) == files_of(local) == {"a": CONTENT, "b": b"b"}
        assert remote.subject.name == f"{host}/team/image:1"
        assert remote.subject.digest == local.subject.digest
        assert remote.subject.configuration == local.subject.configuration
        by_digest = read(f"{host}/team/image@{remote.subject.digest}")
        assert by_digest.subject.digest == remote.subject.digest
        by_digest.__exit__(None, None, None)
        with pytest.raises(UsageError, match=f"{host} has no image {host}/team/image:2"):
            read(f"{host}/team/image:2")


@pytest.mark.network
def test_a_platform_is_chosen_in_a_registry(
    serving: Callable[..., Any], writing: Any, files_of: FilesOf, tmp_path: Path
) -> None:
    layout = writing.layout()
    for architecture in ("amd64", "arm64"):
        layout.add([writing.layer(("file", architecture, b"x"))], architecture=architecture)
    with serving(tmp_path) as host:
        writing.push(host, "image:1", layout)
        assert files_of(read(f"{host}/image:1", "linux/arm64")) == {"arm64": b"x"}
        with pytest.raises(UsageError, match=r"linux/amd64.*linux/arm64"):
            read(f"{host}/image:1")


@pytest.mark.network
@pytest.mark.parametrize("storage", ["auths", "helper", "store"])
def test_the_logins_of_docker_are_used(  # noqa: PLR0917 - fixtures
    storage: str,
    writing: Any,
    serving: Callable[..., Any],
    layout: Any,
    files_of: FilesOf,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    docker_configuration = Path(os.environ["DOCKER_CONFIG"])
    # bcrypt of "secret"; the registry takes no other kind.
    (tmp_path / "htpasswd").write_text(HTPASSWD)
    access = f"auth: {{htpasswd: {{realm: here, path: '{tmp_path}/htpasswd'}}}}\n"
    with serving(tmp_path, access) as host:
        writing.push(host, "image:1", layout, "user:secret")
        with pytest.raises(ToolError, match=f"docker login {host}"):
            read(f"{host}/image:1")
        log_in(storage, host, docker_configuration, monkeypatch)
        assert files_of(read(f"{host}/image:1")) == {"a": CONTENT, "b": b"b"}
        wrong = base64.b64encode(b"user:wrong").decode()
        write_configuration(docker_configuration, {"auths": {host: {"auth": wrong}}})
        with pytest.raises(ToolError, match=r"refuses.*401") as refused:
            read(f"{host}/image:1")
        assert "wrong" not in str(refused.value)


HTPASSWD = "user:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n"


def log_in(storage: str, host: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if storage == "auths":
        entry = {"auth": base64.b64encode(b"user:secret").decode()}
        write_configuration(folder, {"auths": {f"https://{host}/v2/": entry}})
        return
    program = folder / "docker-credential-testing"
    program.write_text(
        "#!/bin/sh\nread -r server\n"
        f'[ "$1 $server" = "get {host}" ] || {{ echo "wrong: $server"; exit 1; }}\n'
        'echo \'{"ServerURL": "x", "Username": "user", "Secret": "secret"}\'\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    helper = (
        {"credHelpers": {host: "testing"}} if storage == "helper" else {"credsStore": "testing"}
    )
    write_configuration(folder, helper)


def write_configuration(folder: Path, content: dict[str, Any]) -> None:
    (folder / "config.json").write_text(json.dumps(content))


# A scripted registry, for what a healthy one does not do.


class Scripted(ThreadingHTTPServer):
    """Serves a layout under /v2/image, with faults that a test plans."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, layout: Any) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.layout = layout
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.faults: list[Callable[[Handler], bool]] = []
        self.token = ""
        self.issue: Callable[[Handler], bool] = lambda _: False
        self.host = f"127.0.0.1:{self.server_address[1]}"

    def blob(self) -> str:
        """The layer with the content."""
        blobs = self.layout.blobs
        return max(blobs, key=lambda name: len(blobs[name]))


class Handler(BaseHTTPRequestHandler):
    server: Scripted
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        server = self.server
        server.seen.append((self.command, self.path, dict(self.headers)))
        if self.path.startswith("/token"):
            server.issue(self)
            return
        if server.token and self.headers["Authorization"] != f"Bearer {server.token}":
            challenge = f'Bearer realm="http://{server.host}/token",service="here",scope="a:b,c"'
            self.answer(401, b"{}", {"WWW-Authenticate": challenge})
            return
        if server.faults and server.faults[0](self):
            server.faults.pop(0)
            return
        version = self.path.rpartition("/")[2]
        data = server.layout.index if version == "1" else server.layout.blobs.get(version)
        if data is None:
            self.answer(404, b"{}")
        else:
            self.serve(data, INDEX if version == "1" else MANIFEST)

    def serve(self, data: bytes, kind: str) -> None:
        asked = self.headers.get("Range")
        if asked is None:
            self.answer(200, data, {"Content-Type": kind})
            return
        start = int(asked.removeprefix("bytes=").rstrip("-"))
        place = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self.answer(206, data[start:], {"Content-Range": place})

    def answer(
        self, status: int, data: bytes, headers: dict[str, str] | None = None, length: int = -1
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data) if length < 0 else length))
        self.end_headers()
        self.wfile.write(data)


@contextlib.contextmanager
def running(server: Scripted) -> Iterator[Scripted]:
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def scripted(layout: Any) -> Iterator[Scripted]:
    with running(Scripted(layout)) as server:
        yield server


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of no length, where a test counts attempts."""
    monkeypatch.setattr(transport, "LONGEST_PAUSE_SECONDS", 0.01)


def answering(status: int, data: bytes) -> Callable[[Handler], bool]:
    def answer(handler: Handler) -> bool:
        handler.answer(status, data)
        return True

    return answer


def busy(status: int, **headers: str) -> Callable[[Handler], bool]:
    def fault(handler: Handler) -> bool:
        handler.answer(status, b"busy", {key.replace("_", "-"): headers[key] for key in headers})
        return True

    return fault


def breaking_off(after: int, blob: str) -> Callable[[Handler], bool]:
    """Send part of a blob, then close the connection."""

    def fault(handler: Handler) -> bool:
        if not handler.path.endswith(blob):
            return False
        data = handler.server.layout.blobs[blob]
        start = int((handler.headers.get("Range") or "bytes=0-")[6:-1])
        status, place = (206, {"Content-Range": f"bytes {start}-"}) if start else (200, {})
        handler.answer(status, data[start : start + after], place, len(data) - start)
        handler.close_connection = True
        return True

    return fault


def test_busy_registries_are_asked_again(
    scripted: Scripted, files_of: FilesOf, impatient: None
) -> None:
    scripted.faults = [busy(503), busy(429, Retry_After="0"), busy(500)]
    assert files_of(read(f"{scripted.host}/image:1"))["a"] == CONTENT
    assert len([path for _, path, _ in scripted.seen if path.endswith("/1")]) == 4


def test_a_registry_that_stays_busy_is_given_up(scripted: Scripted, impatient: None) -> None:
    scripted.faults = [busy(503)] * 50
    with pytest.raises(ToolError, match="HTTP 503"):
        read(f"{scripted.host}/image:1")
    assert len(scripted.seen) == 7


def test_a_blob_that_breaks_off_is_taken_up_where_it_ended(
    scripted: Scripted, files_of: FilesOf, impatient: None
) -> None:
    blob = scripted.blob()
    scripted.faults = [breaking_off(1_500_000, blob), breaking_off(700_000, blob)]
    assert files_of(read(f"{scripted.host}/image:1"))["a"] == CONTENT
    ranges = [headers.get("Range") for _, path, headers in scripted.seen if path.endswith(blob)]
    assert ranges == [None, "bytes=1500000-", "bytes=2200000-"]


def test_a_registry_without_ranges_is_read_from_the_start_again(
    scripted: Scripted, files_of: FilesOf, impatient: None
) -> None:
    blob = scripted.blob()

    def whole(handler: Handler) -> bool:
        if handler.path.endswith(blob):
            handler.answer(200, handler.server.layout.blobs[blob])
            return True
        return False

    scripted.faults = [breaking_off(1_500_000, blob), whole]
    assert files_of(read(f"{scripted.host}/image:1"))["a"] == CONTENT


def test_a_blob_that_keeps_breaking_off_is_given_up(
    scripted: Scripted, files_of: FilesOf, impatient: None
) -> None:
    scripted.faults = [breaking_off(100_000, scripted.blob())] * 20
    with pytest.raises(ToolError, match="broke off 9 times, last at byte 900000"):
        files_of(read(f"{scripted.host}/image:1"))


@pytest.mark.parametrize("change", [b"", b"\1", b"extra"])
def test_a_blob_with_other_bytes_is_damaged(
    change: bytes, scripted: Scripted, files_of: FilesOf, impatient: None
) -> None:
    blob = scripted.blob()
    data = scripted.layout.blobs[blob]
    scripted.layout.blobs[blob] = data[:-1] + change
    with pytest.raises((DamagedInputError, ToolError)):
        files_of(read(f"{scripted.host}/image:1"))


def test_a_missing_layer_is_damage(scripted: Scripted, files_of: FilesOf) -> None:
    del scripted.layout.blobs[scripted.blob()]
    with pytest.raises(DamagedInputError, match=r"lacks .*/blobs/sha256"):
        files_of(read(f"{scripted.host}/image:1"))


def test_a_changed_manifest_is_damage(scripted: Scripted) -> None:
    manifest = scripted.layout.manifests[0]["digest"]
    scripted.layout.blobs[manifest] = scripted.layout.blobs[manifest].replace(b"2", b"3", 1)
    with pytest.raises(DamagedInputError, match=manifest):
        read(f"{scripted.host}/image:1")
    with pytest.raises(DamagedInputError, match=manifest):
        read(f"{scripted.host}/image@{manifest}")


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_what_is_asked_for_by_digest_is_verified(
    algorithm: str, scripted: Scripted, files_of: FilesOf
) -> None:
    (described,) = scripted.layout.manifests
    manifest = scripted.layout.blobs[described["digest"]]
    right = f"{algorithm}:{hashlib.new(algorithm, manifest).hexdigest()}"
    wrong = f"{algorithm}:{hashlib.new(algorithm).hexdigest()}"
    scripted.layout.blobs |= {right: manifest, wrong: manifest}
    image = read(f"{scripted.host}/image@{right}")
    assert files_of(image)["a"] == CONTENT
    assert image.subject.digest == described["digest"]
    with pytest.raises(DamagedInputError, match=f"does not have the digest {wrong}"):
        read(f"{scripted.host}/image@{wrong}")


def test_a_redirect_to_another_host_gets_no_token(
    scripted: Scripted, beside: Callable[[], Scripted], files_of: FilesOf
) -> None:
    scripted.token = "canary"
    scripted.issue = answering(200, b'{"token": "canary"}')
    other = beside()

    def redirect(handler: Handler) -> bool:
        return redirecting(f"http://{other.host}{handler.path}")(handler)

    scripted.faults = [redirect] * 3
    assert files_of(read(f"{scripted.host}/image:1"))["a"] == CONTENT
    assert len(other.seen) == 3
    assert not any("canary" in str(headers) for _, _, headers in other.seen)


@pytest.fixture
def beside(layout: Any) -> Iterator[Callable[[], Scripted]]:
    """Starts further registries, on ports of their own."""
    with contextlib.ExitStack() as stack:

        def start() -> Scripted:
            return stack.enter_context(running(Scripted(layout)))

        yield start


def redirecting(place: str, only: str = "/blobs/", status: int = 307) -> Callable[[Handler], bool]:
    def fault(handler: Handler) -> bool:
        if only not in handler.path:
            return False
        handler.answer(status, b"", {"Location": place or handler.path})
        return True

    return fault


def challenging(realm: str, kind: str = "Bearer") -> Callable[[Handler], bool]:
    def fault(handler: Handler) -> bool:
        challenge = f'{kind} realm="{realm}",service="there"'
        handler.answer(401, b"{}", {"WWW-Authenticate": challenge})
        return True

    return fault


@pytest.mark.parametrize("kind", ["Bearer", "Basic"])
def test_a_host_that_a_blob_is_redirected_to_cannot_ask_for_the_login(
    kind: str,
    scripted: Scripted,
    beside: Callable[[], Scripted],
    files_of: FilesOf,
    docker_configuration: Path,
) -> None:
    elsewhere, thief = beside(), beside()
    thief.issue = answering(200, b'{"token": "x"}')
    entry = {"auth": base64.b64encode(b"user:secret").decode()}
    write_configuration(docker_configuration, {"auths": {scripted.host: entry}})
    scripted.faults = [redirecting(f"http://{elsewhere.host}/v2/image/blobs/x")]
    elsewhere.faults = [challenging(f"http://{thief.host}/token", kind)] * 2
    with pytest.raises(ToolError, match=r"refuses to show .*401"):
        files_of(read(f"{scripted.host}/image:1"))
    assert thief.seen == []
    assert not any("Authorization" in headers for _, _, headers in elsewhere.seen)


@pytest.mark.parametrize(
    "realm",
    [
        "http://192.0.2.1/token",
        "http://localhost:1@192.0.2.1/token",
        "ftp://127.0.0.1/token",
        "//127.0.0.1/token",
        "http://[",
    ],
)
def test_a_login_is_sent_over_https_alone(
    realm: str, scripted: Scripted, docker_configuration: Path
) -> None:
    entry = {"auth": base64.b64encode(b"user:secret").decode()}
    write_configuration(docker_configuration, {"auths": {scripted.host: entry}})
    scripted.faults = [challenging(realm)]
    with pytest.raises(ToolError, match="which is not HTTPS"):
        read(f"{scripted.host}/image:1")


def test_a_realm_of_plain_http_here_is_refused_to_a_registry_elsewhere() -> None:
    assert stays_secret("https://auth.example/token", "registry.example")
    assert stays_secret("http://127.0.0.1:5000/token", "localhost:5001")
    assert stays_secret("http://[::1]:5000/token", "[::1]:5000")
    assert not stays_secret("http://127.0.0.1:5000/token", "registry.example")
    assert not stays_secret("http://auth.example/token", "127.0.0.1:5000")


@pytest.mark.parametrize("login", ["password", "identity"])
def test_a_token_server_cannot_send_the_login_on(
    login: str,
    scripted: Scripted,
    beside: Callable[[], Scripted],
    docker_configuration: Path,
) -> None:
    thief = beside()
    scripted.token = "x"
    scripted.issue = redirecting(f"http://{thief.host}/token", "/token")
    auth = {"auth": base64.b64encode(b"user:secret").decode()}
    entry = auth if login == "password" else {"identitytoken": "identity"}
    write_configuration(docker_configuration, {"auths": {scripted.host: entry}})
    with pytest.raises(ToolError, match=r"no access.*307"):
        read(f"{scripted.host}/image:1")
    assert thief.seen == []


@pytest.mark.parametrize("place", ["http://192.0.2.1/x", "file:///etc/passwd", "http://[/"])
def test_a_redirect_to_plain_http_elsewhere_is_refused(
    place: str, scripted: Scripted, files_of: FilesOf
) -> None:
    scripted.faults = [redirecting(place)]
    with pytest.raises(ToolError, match=r"redirects to .*, which is not HTTPS"):
        files_of(read(f"{scripted.host}/image:1"))


def test_redirects_in_circles_are_given_up(scripted: Scripted, files_of: FilesOf) -> None:
    scripted.faults = [redirecting("")] * 20
    with pytest.raises(ToolError, match="redirects more than 5 times"):
        files_of(read(f"{scripted.host}/image:1"))


def dripping(handler: Handler, start: bytes) -> bool:
    """Send a byte now and then, for ever."""
    handler.close_connection = True
    with contextlib.suppress(OSError):
        handler.wfile.write(start)
        while True:
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.01)
    return True


HEADERS = b"HTTP/1.1 200 OK\r\nContent-Type: x/y\r\nContent-Length: 9000000\r\n\r\n"


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\nX: ", HEADERS])
@pytest.mark.parametrize("where", ["/manifests/", "/blobs/", "/token"])
def test_a_registry_that_drips_is_given_up(  # noqa: PLR0917 - fixtures
    start: bytes,
    where: str,
    scripted: Scripted,
    files_of: FilesOf,
    impatient: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time_budget, "MOST_SECONDS", 0.3)
    scripted.faults = [lambda handler: where in handler.path and dripping(handler, start)] * 50
    if where == "/token":
        scripted.token = "x"
        scripted.issue = lambda handler: dripping(handler, start)
    with pytest.raises(ToolError, match=f"{scripted.host} makes no progress"):
        files_of(read(f"{scripted.host}/image:1"))


def test_a_registry_that_stays_silent_is_given_up(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_budget, "MOST_SECONDS", 0.3)

    def silent(_: Handler) -> bool:
        time.sleep(2)
        return True

    scripted.faults = [silent] * 9
    with pytest.raises(ToolError, match="makes no progress"):
        read(f"{scripted.host}/image:1")


def test_the_budget_comes_back_with_bytes_and_answers() -> None:
    waiting = time_budget.TimeBudget("here", 10)
    for _ in range(100):
        waiting.spend(9, 9 * time_budget.LEAST_BYTES_PER_SECOND)
        waiting.spend(4)
        waiting.answered()
    assert waiting.left == 10
    waiting.allow(600)
    waiting.spend(500)
    assert waiting.left == 100
    with pytest.raises(ToolError, match="no progress"):
        waiting.spend(100)


@pytest.mark.parametrize("status", [401, 307, 503])
def test_what_nobody_wants_is_not_read_to_its_end(
    status: int, scripted: Scripted, files_of: FilesOf, impatient: None
) -> None:
    sent = []

    def endless(handler: Handler) -> bool:
        extra = {
            401: f'WWW-Authenticate: Bearer realm="http://{scripted.host}/token"',
            307: f"Location: http://{scripted.host}{handler.path}",
            503: "Retry-After: 0",
        }
        handler.close_connection = True
        with contextlib.suppress(OSError):
            handler.wfile.write(f"HTTP/1.1 {status} X\r\n{extra[status]}\r\n\r\n".encode())
            while True:
                handler.wfile.write(bytes(1 << 16))
                sent.append(1 << 16)
        return True

    scripted.issue = answering(200, b'{"token": "t"}')
    scripted.faults = [endless]
    assert files_of(read(f"{scripted.host}/image:1"))["a"] == CONTENT
    # What the sockets hold, not what the server would like to send.
    assert sum(sent) < 64 << 20


@pytest.mark.parametrize("login", [None, "password", "identity"])
def test_tokens_are_fetched_as_the_challenge_says(
    login: str | None, scripted: Scripted, files_of: FilesOf, docker_configuration: Path
) -> None:
    scripted.token = hashlib.sha256(str(login).encode()).hexdigest()
    asked: list[tuple[str, str | None, dict[str, list[str]]]] = []

    def issue(handler: Handler) -> bool:
        length = int(handler.headers.get("Content-Length") or 0)
        query = urlsplit(handler.path).query or handler.rfile.read(length).decode()
        asked.append((handler.command, handler.headers["Authorization"], parse_qs(query)))
        handler.answer(200, json.dumps({"access_token": scripted.token}).encode())
        return True

    scripted.issue = issue
    basic = base64.b64encode(b"user:secret").decode()
    if login:
        entry = {"auth": basic} if login == "password" else {"identitytoken": "identity"}
        write_configuration(docker_configuration, {"auths": {scripted.host: entry}})
    assert files_of(read(f"{scripted.host}/image:1"))["a"] == CONTENT
    ((method, authorization, query),) = asked
    assert (query["service"], query["scope"]) == (["here"], ["a:b,c"])
    assert method == ("POST" if login == "identity" else "GET")
    assert authorization == (f"Basic {basic}" if login == "password" else None)
    assert query.get("refresh_token") == (["identity"] if login == "identity" else None)


@pytest.mark.parametrize("answer", [(403, b"{}"), (200, b"[]"), (200, b'{"token": "a\\nb"}')])
def test_a_useless_token_answer_is_told(answer: tuple[int, bytes], scripted: Scripted) -> None:
    scripted.token = "x"
    scripted.issue = answering(*answer)
    with pytest.raises(ToolError, match=rf"{scripted.host} g(ave|ives) no"):
        read(f"{scripted.host}/image:1")


def test_an_unreachable_registry_is_told(impatient: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(ToolError, match=f"127.0.0.1:{port} cannot be reached: .*refused"):
        read(f"127.0.0.1:{port}/image:1")


def test_a_helper_that_fails_is_told_without_its_output(
    scripted: Scripted, docker_configuration: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted.token = "x"
    write_configuration(docker_configuration, {"credsStore": "nowhere-installed"})
    with pytest.raises(ToolError, match="docker-credential-nowhere-installed is not installed"):
        read(f"{scripted.host}/image:1")
    log_in("store", "another.example", docker_configuration, monkeypatch)
    with pytest.raises(ToolError, match="docker-credential-testing failed") as failed:
        read(f"{scripted.host}/image:1")
    assert "wrong:" not in str(failed.value)
