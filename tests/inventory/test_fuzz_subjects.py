"""Hostile archives, images and registries: whatever they say, the answer is an error of ours.

The number of rounds is small here; SMFORGE_FUZZ_ROUNDS asks for more.
"""

from __future__ import annotations

import base64
import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import random
import socketserver
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import zstandard

from smforge.errors import SmforgeError
from smforge.inventory.formats.blob import HEAD_BYTES, BytesBlob
from smforge.inventory.formats.limits import Limits
from smforge.inventory.images.store import StoredSource, layout_roots
from smforge.inventory.images.streamed import StreamedSource
from smforge.inventory.options import ReadOptions
from smforge.inventory.subjects import registry
from smforge.inventory.subjects.image import ImageSubject
from smforge.inventory.subjects.unpacking import UnpackedSubject, archive_form_of
from smforge.inventory.subjects.wheel import PackedSubject
from smforge.inventory.survey import survey
from smforge.oci import time_budget, transport
from smforge.oci.documents import Descriptor
from smforge.oci.reference import parse_reference
from smforge.oci.tokens import authorization_for

ROUNDS = int(os.environ.get("SMFORGE_FUZZ_ROUNDS", "150"))
_MIB = 1 << 20
LIMITS = Limits(payload_bytes=16 * _MIB, ratio_floor=16 * _MIB, ratio=100, seconds=2.0)
OPTIONS = ReadOptions(workers=1, limits=LIMITS)
PTX = b".version 9.0\n.target sm_90\n.address_size 64\n.visible .entry k()\n{\nret;\n}\n"
WORDS = [b"\0", b"\xff", b"\x7f\xff\xff\xff", b"\xff" * 8, bytes(8), b"..", b"/", b".wh.", b"PK"]
VALUES: list[Any] = [
    None, True, 0, -1, 1 << 70, 1.5, "", "x", "sha256:", "a" * 5000, "\ud800", [], [None], [[]], {},
    {"": ""}, {"digest": "x"}, "sha512:" + "0" * 128, "sha256:" + "0" * 64,
]  # fmt: skip


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Change a few places of `data`: bytes, lengths, order, end."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(changed) + 1)
        match chance.randrange(5):
            case 0:
                changed[at : at + 1] = chance.randbytes(1)
            case 1:
                word = chance.choice(WORDS)
                changed[at : at + len(word)] = word
            case 2:
                del changed[at:]
            case 3:
                del changed[at : at + chance.randint(1, 64)]
            case _:
                other = chance.randrange(len(changed) + 1)
                changed[at:at] = changed[other : other + chance.randint(1, 600)]
    return bytes(changed)


def mutated_document(value: Any, chance: random.Random) -> Any:
    """Change a value somewhere in a document."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(list(value))
        if chance.random() < 0.1:
            return {name: item for name, item in value.items() if name != key}
        return {**value, key: mutated_document(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.9:
        at = chance.randrange(len(value))
        if chance.random() < 0.1:
            return value[:at] + value[at + 1 :] if chance.random() < 0.5 else value + value
        return [*value[:at], mutated_document(value[at], chance), *value[at + 1 :]]
    return chance.choice(VALUES)


@contextmanager
def judged() -> Iterator[None]:
    """Let errors of ours pass, and nothing else; catch loops, not slow machines."""
    started = time.process_time()
    with suppress(SmforgeError):
        yield
    assert time.process_time() - started < 2


def tarred(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.pax_headers = {"comment": "x"}
            archive.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.LNKTYPE, next(iter(members))
        archive.addfile(link)
    return buffer.getvalue()


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def deb(content: bytes) -> bytes:
    data = b"!<arch>\n"
    for name, part in {"debian-binary": b"2.0\n", "data.tar": content}.items():
        header = f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(part):<10}`\n"
        data += header.encode() + part + b"\n" * (len(part) % 2)
    return data


INNER = tarred(**{"x/k.ptx": PTX, "readme": b"text" * 50})
ARCHIVES = {
    "zip": zipped(**{"k.ptx": PTX, "a/b.txt": b"text" * 99, "d/": b""}),
    "tar": INNER,
    "gzip": gzip.compress(INNER, mtime=0),
    "bzip2": bz2.compress(INNER),
    "xz": lzma.compress(INNER),
    "zstd": zstandard.compress(INNER),
    "deb": deb(INNER),
    "conda": zipped(**{"p.tar.zst": zstandard.compress(INNER)}),
    "nested": zipped(**{"a.zip": zipped(**{"b.tar": INNER, "c.gz": gzip.compress(PTX)})}),
}


@pytest.mark.parametrize("form", ARCHIVES)
def test_archives(form: str) -> None:
    chance = random.Random(form)
    for number in range(ROUNDS):
        data = mutated(ARCHIVES[form], chance)
        found = archive_form_of("x", data[:HEAD_BYTES])
        if found is None or number % 3 == 0:
            # In one that is whole, so that the damage lies deeper.
            data = zipped(x=data)
            found = archive_form_of("x", data[:HEAD_BYTES])
        assert found is not None
        packed = PackedSubject("x.zip", BytesBlob(data), found, LIMITS, digests=False)
        with judged(), UnpackedSubject(packed, LIMITS) as subject:
            survey(subject, OPTIONS)


class Blobs:
    """A layout in memory, whose documents refer to one another by their true digests."""

    where = "memory"

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.index = b""

    def put(self, data: bytes, **more: Any) -> dict[str, Any]:
        name = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.blobs[name] = data
        return {"digest": name, "size": len(data), **more}

    def roots(self) -> tuple[Descriptor, ...]:
        return layout_roots(self.index, self.where)

    def has(self, digest: str) -> bool:
        return digest in self.blobs

    def document(self, descriptor: Descriptor) -> bytes:
        return self.blobs.get(descriptor.digest, b"{}")

    def layer_parts(self, layer: Any) -> Iterator[bytes]:
        yield self.blobs.get(layer.key, b"")

    def close(self) -> None:
        """Hold nothing."""


def image(change: Callable[[str, Any], Any]) -> Blobs:
    """An image, each of whose documents `change` has seen before it was referred to."""
    store = Blobs()
    layer = tarred(**{"d/k.ptx": PTX, "d/.wh.x": b""})
    diff_id = f"sha256:{hashlib.sha256(layer).hexdigest()}"
    kind = "application/vnd.oci.image."
    configuration = {
        "architecture": "amd64", "os": "linux",
        "config": {"Env": ["A=b"], "Labels": {"a": "b"}, "WorkingDir": "/", "User": "x"},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    }  # fmt: skip
    written = json.dumps(change("configuration", configuration)).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{kind}manifest.v1+json",
        "config": store.put(written, mediaType=f"{kind}config.v1+json"),
        "layers": [store.put(layer, mediaType=f"{kind}layer.v1.tar")],
    }
    written = json.dumps(change("manifest", manifest)).encode()
    platform = {"os": "linux", "architecture": "amd64"}
    names = {"io.containerd.image.name": "docker.io/library/x:1"}
    leaf = store.put(written, mediaType=manifest["mediaType"], platform=platform, annotations=names)
    index = {"schemaVersion": 2, "manifests": [leaf]}
    store.index = json.dumps(change("index", index)).encode()
    return store


@pytest.mark.parametrize("document", ["index", "manifest", "configuration"])
def test_documents_of_images(document: str) -> None:
    chance = random.Random(document)
    for _ in range(ROUNDS):
        store = image(
            lambda name, value: mutated_document(value, chance) if name == document else value
        )
        platform = chance.choice([None, "linux/amd64"])
        with judged():
            source = StoredSource(store, reference=None, platform=platform)
            with ImageSubject(source, "x", LIMITS) as subject:
                survey(subject, OPTIONS)
        saved = tarred(
            **{f"blobs/{name.replace(':', '/')}": data for name, data in store.blobs.items()},
            **{"index.json": store.index},
        )
        with judged():
            read_saved(saved)


def read_saved(data: bytes) -> None:
    parts = (data[at : at + 4096] for at in range(0, len(data), 4096))
    source = StreamedSource(parts, "x", LIMITS, reference=None, platform=None)
    with ImageSubject(source, "x", LIMITS) as subject:
        survey(subject, OPTIONS)


@pytest.mark.parametrize("with_list", [False, True])
def test_saved_archives(*, with_list: bool) -> None:
    chance = random.Random(with_list)
    store = image(lambda _, value: value)
    files = {f"blobs/{name.replace(':', '/')}": data for name, data in store.blobs.items()}
    configuration = next(name for name, data in files.items() if b"diff_ids" in data)
    layer = next(name for name, data in files.items() if data[257:262] == b"ustar")
    listed = [{"Config": configuration, "RepoTags": ["x:1"], "Layers": [layer]}]
    for number in range(ROUNDS):
        rows = mutated_document(listed, chance) if number % 2 else listed
        extra = {"manifest.json": json.dumps(rows).encode()}
        if with_list:
            extra["index.json"] = store.index
        data = tarred(**files, **extra)
        if number % 4 < 2:
            data = mutated(data, chance)
        with judged():
            read_saved(data)


CHALLENGES = [
    'Bearer realm="https://127.0.0.1:1/token",service="here",scope="a:b,c"',
    "Basic realm=x",
    'Bearer realm="http://{host}/token",service=,scope=""',
]


def test_challenges() -> None:
    chance = random.Random("challenges")
    reference = parse_reference("127.0.0.1:1/x:1")

    class Nothing:
        def send(self, *_: Any) -> Any:
            raise SmforgeError("nothing is sent")

    for _ in range(ROUNDS * 10):
        text = mutated(chance.choice(CHALLENGES).encode(), chance).decode("latin-1")
        with judged():
            authorization_for(text, reference, lambda _: None, Nothing())  # type: ignore[arg-type]


class Liar(socketserver.ThreadingTCPServer):
    """Answers what a test says, with a change in every answer."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.host = f"127.0.0.1:{self.server_address[1]}"
        self.chance = random.Random("registry")
        self.store = image(lambda _, value: value)


class Answer(socketserver.StreamRequestHandler):
    server: Liar

    def handle(self) -> None:
        with suppress(OSError):
            while line := self.rfile.readline(4096):
                while self.rfile.readline(4096).strip():
                    pass
                answer = self.answer(line.split(b" ")[1].decode("latin-1"))
                if self.server.chance.random() < 0.5:
                    answer = mutated(answer, self.server.chance)
                self.wfile.write(answer)
                if self.server.chance.random() < 0.7:
                    return

    def answer(self, path: str) -> bytes:
        chance, store = self.server.chance, self.server.store
        version = path.rpartition("/")[2]
        body = store.blobs.get(version, store.index)
        kind = b"application/vnd.oci.image.index.v1+json"
        if version in store.blobs:
            kind = b"application/vnd.oci.image.manifest.v1+json"
        if path.startswith("/token"):
            body = json.dumps(mutated_document({"token": "x"}, chance)).encode()
        status, extra = b"200 OK", b""
        match chance.randrange(8):
            case 0:
                challenge = chance.choice(CHALLENGES).format(host=self.server.host)
                status, extra = b"401 X", f"WWW-Authenticate: {challenge}\r\n".encode()
            case 1:
                place = chance.choice(["", "/v2/x/manifests/1", "//[", "http://192.0.2.1/"])
                status, extra = b"307 X", f"Location: {place}\r\n".encode()
            case 2:
                status, extra = b"206 X", b"Content-Range: bytes 5-\r\n"
            case 3:
                status, extra = b"503 X", b"Retry-After: 0\r\n"
            case 4:
                extra = b"Content-Encoding: gzip\r\n"
            case 5:
                extra = b"Transfer-Encoding: chunked\r\n"
                body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
            case _:
                extra = b""
        length = b"Content-Length: %d\r\n" % len(body)
        head = b"HTTP/1.1 %s\r\nContent-Type: %s\r\n%s%s\r\n" % (status, kind, extra, length)
        return head + body


def test_answers_of_a_registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setattr(transport, "LONGEST_PAUSE_SECONDS", 0)
    monkeypatch.setattr(time_budget, "MOST_SECONDS", 0.3)
    with Liar() as server:
        login = base64.b64encode(b"user:secret").decode()
        (tmp_path / "config.json").write_text(json.dumps({"auths": {server.host: {"auth": login}}}))
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        for _ in range(ROUNDS // 3):
            started = time.monotonic()
            with judged(), registry.open_subject(f"{server.host}/x:1", OPTIONS) as subject:
                survey(subject, OPTIONS)
            assert time.monotonic() - started < 30
        server.shutdown()
        thread.join()
