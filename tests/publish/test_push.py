"""From a layout to a real registry and a real engine, and back."""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from smforge.errors import DamagedInputError, ToolError, UsageError
from smforge.oci import transport
from smforge.oci.layout import LayoutFolder
from smforge.publish.finish import Finished, finish
from smforge.publish.load import load
from smforge.publish.push import push
from smforge.publish.referrer import REPORT_TYPE

pytestmark = [pytest.mark.engine, pytest.mark.toolchain, pytest.mark.network]

MOMENT = datetime(2026, 11, 21, tzinfo=UTC)
REPORT = '{"schema_version": 1, "verdict": "pass"}\n'
HTPASSWD = "user:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n"
"""bcrypt of "secret"; the registry takes no other kind."""


def finished(folder: Path) -> Finished:
    return finish(
        folder, REPORT, "pass", MOMENT, lambda _folder, _image: {"spdxVersion": "SPDX-2.3"}
    )


def docker(*arguments: str) -> str:
    done = subprocess.run(("docker", *arguments), check=True, capture_output=True, text=True)
    return done.stdout.strip()


def audit(subject: str) -> dict[str, Any]:
    command = (sys.executable, "-m", "smforge", "-q", "audit", "-o", "json", "--kernels", subject)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_what_is_pulled_is_what_was_audited(image: Any, registry: str, ask: Any) -> None:
    result = finished(image.layout)
    pushed = push(image.layout, f"{registry}/team/small:1")
    assert pushed.digest == result.digest
    assert ask("team/small/manifests/1") == ask(f"team/small/manifests/{result.digest}")
    reference = f"{registry}/team/small@{pushed.digest}"
    docker("pull", "--quiet", reference)
    try:
        ways = (f"oci:{image.layout}", f"registry:{reference}", f"image:{reference}")
        first, *others = [audit(way) for way in ways]
    finally:
        docker("image", "rm", reference)
    assert first["subject"].pop("digest") == result.images[0]
    for other in others:
        assert other["subject"].pop("digest") == result.images[0]
        # A layout remembers what the image was built as, a registry what was asked for.
        assert other["subject"].pop("name") == reference
    del first["subject"]["name"]
    assert [other == first for other in others] == [True, True]
    assert first["files"]


def test_the_report_is_found_by_its_subject(image: Any, registry: str, ask: Any) -> None:
    result = finished(image.layout)
    push(image.layout, f"{registry}/team/small:1")
    tag = result.images[0].replace(":", "-")
    assert sorted(ask("team/small/tags/list")["tags"]) == ["1", tag]
    (entry,) = ask(f"team/small/manifests/{tag}")["manifests"]
    assert (entry["digest"], entry["artifactType"]) == (result.reports[0], REPORT_TYPE)
    manifest = ask(f"team/small/manifests/{entry['digest']}")
    assert manifest["subject"]["digest"] == result.images[0]
    assert ask(f"team/small/blobs/{manifest['layers'][0]['digest']}") == json.loads(REPORT)


def test_buildx_shows_provenance_and_bill_of_materials(image: Any, registry: str) -> None:
    finished(image.layout)
    name = push(image.layout, f"{registry}/team/small:1").reference
    inspect = ("buildx", "imagetools", "inspect", name, "--format")
    assert json.loads(docker(*inspect, "{{json .SBOM.SPDX}}")) == {"spdxVersion": "SPDX-2.3"}
    assert "digestMapping" in docker(*inspect, "{{json .Provenance.SLSA.buildConfig}}")


def test_tags_of_platforms_are_joined_with_all_that_belongs_to_them(
    image: Any, built: Callable[..., Any], registry: str, ask: Any
) -> None:
    digests: list[Any] = []
    for cpu, layout in (("amd64", image.layout), ("arm64", built(True, "linux/arm64").layout)):
        digests += finished(layout).images
        push(layout, f"{registry}/team/small:1-{cpu}")
    parts = [f"{registry}/team/small:1-{cpu}" for cpu in ("amd64", "arm64")]
    docker("buildx", "imagetools", "create", "--tag", f"{registry}/team/small:1", *parts)
    manifests = ask("team/small/manifests/1")["manifests"]
    images = [entry for entry in manifests if entry["platform"]["os"] == "linux"]
    assert [entry["digest"] for entry in images] == digests
    assert {entry["annotations"]["io.smforge.verdict"] for entry in images} == {"pass"}
    # Provenance and bill of materials of each.
    assert len(manifests) == 6


def test_nothing_is_sent_twice(image: Any, registry: str, ask: Any) -> None:
    finished(image.layout)
    first = push(image.layout, f"{registry}/team/small:1")
    assert first.sent > 0
    again = push(image.layout, f"{registry}/team/small:sha-2")
    assert (again.sent, again.spared) == (0, first.sent + first.spared)
    other = push(image.layout, f"{registry}/other/small:1", mount_from=("nowhere", "team/small"))
    assert (other.sent, other.spared) == (0, again.spared)
    tag = next(tag for tag in ask("team/small/tags/list")["tags"] if tag.startswith("sha256-"))
    assert len(ask(f"team/small/manifests/{tag}")["manifests"]) == 1


def test_a_second_report_joins_the_first(image: Any, registry: str, ask: Any) -> None:
    result = finished(image.layout)
    push(image.layout, f"{registry}/team/small:1")
    later = finish(image.layout, REPORT.replace("pass", "fail"), "fail", MOMENT, lambda *_: {})
    push(image.layout, f"{registry}/team/small:1")
    listed = ask(f"team/small/manifests/{result.images[0].replace(':', '-')}")["manifests"]
    assert [entry["digest"] for entry in listed] == [*result.reports, *later.reports]


class CutOff(socketserver.ThreadingTCPServer):
    """A way to a registry that carries so many bytes to it, breaks off, and carries more if any."""

    def __init__(self, host: str, *carried: int) -> None:
        super().__init__(("127.0.0.1", 0), _Carrier)
        after, *self.later = carried
        address, _, port = host.partition(":")
        self.upstream = (address, int(port))
        self.left = after


class _Carrier(socketserver.BaseRequestHandler):
    server: CutOff

    def handle(self) -> None:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(self.server.upstream) as upstream,
            selectors.DefaultSelector() as ready,
        ):
            ready.register(self.request, selectors.EVENT_READ, upstream)
            ready.register(upstream, selectors.EVENT_READ, self.request)
            while self.server.left >= 0:
                for key, _ in ready.select():
                    data = cast("socket.socket", key.fileobj).recv(4096)
                    if not data:
                        return
                    self.server.left -= len(data) if key.fileobj is self.request else 0
                    key.data.sendall(data)
            self.server.left = self.server.later.pop(0) if self.server.later else -1


@contextlib.contextmanager
def cut_off(host: str, *carried: int) -> Iterator[str]:
    with CutOff(host, *carried) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.999])
def test_an_interrupted_push_leaves_no_tag(
    share: float, image: Any, registry: str, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "LONGEST_PAUSE_SECONDS", 0.01)
    finished(image.layout)
    roots = LayoutFolder(image.layout).roots()
    size = sum(path.stat().st_size for path in (image.layout / "blobs/sha256").iterdir())
    with cut_off(registry, int(size * share)) as way, pytest.raises(ToolError):
        push(image.layout, f"{way}/team/small:1")
    tags = (ask("team/small/tags/list") or {}).get("tags") or []
    assert "1" not in tags
    assert push(image.layout, f"{registry}/team/small:1").digest == roots[0].digest
    assert "1" in ask("team/small/tags/list")["tags"]


def test_a_connection_that_breaks_twice_is_survived(
    image: Any, registry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "LONGEST_PAUSE_SECONDS", 0.01)
    digest = finished(image.layout).digest
    with cut_off(registry, 300_000, 500_000, 1 << 30) as way:
        pushed = push(image.layout, f"{way}/team/small:1")
    assert pushed.digest == digest


def test_the_logins_of_docker_are_used(
    image: Any, serving: Callable[..., Any], tmp_path: Path, log_in: Callable[[str, str], None]
) -> None:
    (tmp_path / "htpasswd").write_text(HTPASSWD)
    access = f"auth: {{htpasswd: {{realm: here, path: '{tmp_path}/htpasswd'}}}}\n"
    with serving(tmp_path, access) as host:
        log_in(host, "user:wrong")
        with pytest.raises(ToolError, match=f"not let this account push to team/small.*{host}"):
            push(image.layout, f"{host}/team/small:1")
        log_in(host, "user:secret")
        assert push(image.layout, f"{host}/team/small:1").sent > 0


def test_the_engine_gets_the_image_under_its_tag(image: Any) -> None:
    result = finished(image.layout)
    assert load(image.layout, image.name) == result.digest
    try:
        assert docker("image", "inspect", "--format", "{{.Id}}", image.name) == result.digest
        report = audit(f"image:{image.name}")
    finally:
        docker("image", "rm", image.name)
    assert report == audit(f"oci:{image.layout}")


def test_a_damaged_layout_is_neither_pushed_nor_tagged(
    image: Any, registry: str, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "LONGEST_PAUSE_SECONDS", 0.01)
    finished(image.layout)
    blobs = image.layout / "blobs/sha256"
    largest = max(blobs.iterdir(), key=lambda path: path.stat().st_size)
    content = largest.read_bytes()
    largest.chmod(0o644)
    largest.write_bytes(content[:-1] + b"?")
    with pytest.raises(ToolError, match=r"HTTP 400: .*digest"):
        push(image.layout, f"{registry}/team/small:1")
    largest.write_bytes(content[:-1])
    for publish in (lambda: push(image.layout, f"{registry}/a:1"), lambda: load(image.layout, "a")):
        with pytest.raises(DamagedInputError, match=f"not {len(content)}"):
            publish()
    largest.unlink()
    with pytest.raises(DamagedInputError, match="cannot be read"):
        push(image.layout, f"{registry}/team/small:1")
    with pytest.raises(DamagedInputError, match="cannot be read"):
        load(image.layout, image.name)
    assert ask("team/small/tags/list") is None
    assert docker("image", "ls", "--quiet", image.name) == ""


def test_a_digest_is_no_place_to_push_to(image: Any, registry: str) -> None:
    with pytest.raises(UsageError, match="is a digest"):
        push(image.layout, f"{registry}/team/small@sha256:{'0' * 64}")
