"""A package index on loopback, as a server of files, and small wheels for it."""

from __future__ import annotations

import hashlib
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest


@dataclass
class Index:
    """The server: what it has, and what was asked of it."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    """By path: ``/files/x.whl``."""
    redirects: dict[str, str] = field(default_factory=dict)
    breaks: dict[str, int] = field(default_factory=dict)
    """By path: after how many bytes the first answer ends."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Path and range of each request."""

    @property
    def simple(self) -> str:
        return f"{self.url}/simple"

    def release(
        self, wheel: Path, *, yanked: str = "", digest: str | None = None, python: str = ""
    ) -> None:
        """Offer a wheel in the index; `digest` is what the index says, where that is not true."""
        data = wheel.read_bytes()
        self.files[f"/files/{wheel.name}"] = data
        sha256 = digest or hashlib.sha256(data).hexdigest()
        attributes = f' data-yanked="{yanked}"' if yanked else ""
        attributes += f' data-requires-python="{python}"' if python else ""
        project = wheel.name.partition("-")[0].replace("_", "-").lower()
        link = f'<a href="/files/{wheel.name}#sha256={sha256}"{attributes}>{wheel.name}</a><br>\n'
        page = f"/simple/{project}/"
        self.files[page] = self.files.get(page, b"<!DOCTYPE html>\n") + link.encode()

    def fetched(self, name: str) -> int:
        """How often a file was asked for."""
        return sum(path.endswith(name) for path, _ in self.asked)


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Index]:
    """A server, with an empty cache of smforge and none of the site's further places."""
    offered = Index()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = unquote(self.path.partition("?")[0])
            span = self.headers.get("Range", "")
            offered.asked.append((path, span))
            if place := offered.redirects.get(path):
                self.send_response(302)
                self.send_header("Location", place)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            data = offered.files.get(path)
            if data is None:
                self.send_error(404)
                return
            start = int(span.removeprefix("bytes=").removesuffix("-") or "0")
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            self.send_header("Content-Type", "text/html" if path.endswith("/") else "binary/x")
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            end = offered.breaks.pop(path, None)
            self.wfile.write(data[start:end])
            if end is not None:
                self.close_connection = True

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        offered.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
        monkeypatch.setenv("PIP_INDEX_URL", offered.simple)
        for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_CONSTRAINT"):
            monkeypatch.delenv(name, raising=False)
        yield offered
        server.shutdown()
        thread.join()


@pytest.fixture
def make_wheel(tmp_path: Path) -> Callable[..., Path]:
    """``make_wheel("x-1.0-py3-none-any.whl", {member: content}, *requirements)``."""

    def make(name: str, members: dict[str, Path | str] | None = None, *requires: str) -> Path:
        path = tmp_path / name
        project, version = name.split("-")[:2]
        info = f"{project}-{version}.dist-info"
        metadata = f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n"
        metadata += "".join(f"Requires-Dist: {one}\n" for one in requires)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, content in (members or {f"{project}/__init__.py": ""}).items():
                if isinstance(content, Path):
                    archive.write(content, member)
                else:
                    archive.writestr(member, content)
            archive.writestr(f"{info}/METADATA", metadata)
            tag = "-".join(name.removesuffix(".whl").split("-")[2:])
            archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nTag: {tag}\n")
            archive.writestr(f"{info}/RECORD", "")
        return path

    return make
