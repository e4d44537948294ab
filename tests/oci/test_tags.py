"""Lists of tags: of a real registry, in pages as newer registries give them, and without end."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from smforge.errors import DamagedInputError, ToolError
from smforge.oci import pull
from smforge.oci.documents import MANIFEST, digest_of
from smforge.oci.layout import json_bytes
from smforge.oci.pull import PullClient
from smforge.oci.push import PushClient
from smforge.oci.reference import parse_reference


class Paged(ThreadingHTTPServer):
    """A registry with five tags, which gives two at a time."""

    daemon_threads = True
    tags = ("a", "b", "c", "d", "e")
    elsewhere = False
    endless = False


class Handler(BaseHTTPRequestHandler):
    server: Paged

    def do_GET(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        last = asked.get("last", [""])[0]
        left = [tag for tag in self.server.tags if self.server.endless or tag > last]
        page = left[:2]
        body = json.dumps({"name": "team/cells", "tags": page}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if len(left) > 2:
            host = "http://127.0.0.1:9" if self.server.elsewhere else ""
            self.send_header(
                "Link", f'<{host}/v2/team/cells/tags/list?last={page[-1]}>; rel="next"'
            )
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def paged() -> Iterator[Paged]:
    with Paged(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def tags_of(host: str) -> tuple[str, ...]:
    client = PullClient(parse_reference(f"{host}/team/cells"), lambda _host: None)
    try:
        return client.tags()
    finally:
        client.close()


def test_all_pages_are_read(paged: Paged) -> None:
    assert tags_of(f"127.0.0.1:{paged.server_address[1]}") == ("a", "b", "c", "d", "e")


def test_a_list_that_goes_on_elsewhere_or_without_end_is_refused(
    paged: Paged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull, "_TAG_PAGES", 4)
    host = f"127.0.0.1:{paged.server_address[1]}"
    paged.endless = True
    with pytest.raises(ToolError, match="lists more than 8 tags"):
        tags_of(host)
    paged.elsewhere = True
    with pytest.raises(DamagedInputError, match="continues a list on another host"):
        tags_of(host)


def test_a_real_registry_lists_its_tags(serving: Callable[..., Any], tmp_path: Path) -> None:
    with serving(tmp_path) as host:
        assert tags_of(host) == ()
        client = PushClient(parse_reference(f"{host}/team/cells"), lambda _host: None)
        client.upload(digest_of(b"{}"), 2, lambda start: iter([b"{}"[start:]]))
        config = {"mediaType": "application/x", "digest": digest_of(b"{}"), "size": 2}
        document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": []}
        for tag in ("two", "one"):
            client.put_manifest(tag, json_bytes(document), MANIFEST)
        client.close()
        assert sorted(tags_of(host)) == ["one", "two"]
