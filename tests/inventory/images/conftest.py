"""Writes images as exporters do: layers, configuration, manifest and index, in every storage."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import urllib3
import zstandard

ROOT = Path(__file__).parents[3]
CONFIGURATION = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


def layer(*items: tuple[str, ...] | tuple[str, str, bytes]) -> bytes:
    """A layer's tar from ("file", name, content), ("dir", name), ("symlink", name, target)
    and ("hardlink", name, target)."""
    types = {"dir": tarfile.DIRTYPE, "symlink": tarfile.SYMTYPE, "hardlink": tarfile.LNKTYPE}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for kind, name, *rest in items:
            info = tarfile.TarInfo(name)
            info.type = types.get(kind, tarfile.REGTYPE)
            content = rest[0] if rest else b""
            if isinstance(content, str):
                info.linkname, content = content, b""
            info.size = len(content)
            info.mode = 0o755
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def descriptor(data: bytes, media_type: str, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest(data), "size": len(data), **more}


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": lambda data: gzip.compress(data, 6, mtime=0),
    "zstd": lambda data: zstandard.ZstdCompressor().compress(data),
}
SUFFIXES = {"plain": "", "gzip": "+gzip", "zstd": "+zstd"}


@dataclass
class Layout:
    """An OCI layout in memory; tests may damage it before it is written."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: list[dict[str, Any]] = field(default_factory=list)

    def put(self, data: bytes) -> str:
        self.blobs[digest(data)] = data
        return digest(data)

    def add(
        self,
        layers: Iterable[bytes],
        *,
        name: str | None = "example/image:1",
        packing: str = "gzip",
        architecture: str = "amd64",
        environment: Iterable[str] = (),
    ) -> str:
        """Store one image and refer to it; the result is its manifest's digest."""
        manifest = self.manifest(layers, packing, architecture, environment)
        platform = {"os": "linux", "architecture": architecture}
        annotations = {"io.containerd.image.name": name} if name else {}
        self.manifests.append(
            descriptor(manifest, MANIFEST, platform=platform, annotations=annotations)
        )
        return digest(manifest)

    def manifest(
        self,
        layers: Iterable[bytes],
        packing: str = "gzip",
        architecture: str = "amd64",
        environment: Iterable[str] = (),
    ) -> bytes:
        layers = list(layers)
        packed = [PACKERS[packing](item) for item in layers]
        configuration = json.dumps(
            {
                "os": "linux",
                "architecture": architecture,
                "config": {"Env": list(environment), "Labels": {"a": "b"}, "WorkingDir": "/w"},
                "rootfs": {"type": "layers", "diff_ids": [digest(item) for item in layers]},
            }
        ).encode()
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": descriptor(configuration, CONFIGURATION),
                "layers": [descriptor(item, LAYER + SUFFIXES[packing]) for item in packed],
            }
        ).encode()
        for data in (configuration, manifest, *packed):
            self.put(data)
        return manifest

    @property
    def index(self) -> bytes:
        return json.dumps({"schemaVersion": 2, "manifests": self.manifests}).encode()

    def files(self) -> dict[str, bytes]:
        """The layout's files, in the order in which the engine writes them."""
        blobs = {f"blobs/{name.replace(':', '/')}": data for name, data in self.blobs.items()}
        return {
            **dict(sorted(blobs.items())),
            "index.json": self.index,
            "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        }

    def write_folder(self, folder: Path) -> Path:
        for name, data in self.files().items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return folder

    def write_archive(self, path: Path, packing: str = "plain") -> Path:
        items = [("file", name, data) for name, data in self.files().items()]
        path.write_bytes(PACKERS[packing](layer(*items)))
        return path


def docker_archive(layers: Iterable[bytes], tags: Iterable[str] = ("example/image:1",)) -> bytes:
    """What engines before 25 save: layers by path, the description at the end."""
    layers = list(layers)
    configuration = json.dumps(
        {
            "os": "linux",
            "architecture": "amd64",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [digest(item) for item in layers]},
        }
    ).encode()
    name = f"{digest(configuration).removeprefix('sha256:')}.json"
    paths = [f"{number:064d}/layer.tar" for number, _ in enumerate(layers)]
    listed = [{"Config": name, "RepoTags": list(tags), "Layers": paths}]
    return layer(
        *(("file", path, data) for path, data in zip(paths, layers, strict=True)),
        ("file", name, configuration),
        ("file", "manifest.json", json.dumps(listed).encode()),
    )


def push(host: str, name: str, layout: Any, login: str | None = None) -> None:
    """Upload a layout's blobs and manifests, and its index under `name`."""
    http = urllib3.PoolManager(headers=urllib3.make_headers(basic_auth=login) if login else None)
    repository, _, tag = name.rpartition(":")
    base = f"http://{host}/v2/{repository}"
    manifests = {item["digest"]: item["mediaType"] for item in layout.manifests}
    for digest, data in layout.blobs.items():
        if digest in manifests:
            continue
        started = http.request("POST", f"{base}/blobs/uploads/")
        place = started.headers["Location"]
        joiner = "&" if "?" in place else "?"
        assert http.request("PUT", f"{place}{joiner}digest={digest}", body=data).status == 201
    documents = [(key, kind, layout.blobs[key]) for key, kind in manifests.items()]
    for version, kind, data in [*documents, (tag, INDEX, layout.index)]:
        headers = {**http.headers, "Content-Type": kind}
        answer = http.request("PUT", f"{base}/manifests/{version}", body=data, headers=headers)
        assert answer.status == 201, answer.data
    http.clear()


@dataclass(frozen=True)
class Writing:
    """The functions above, for tests: modules of tests cannot import one another."""

    layer: Callable[..., bytes] = layer
    digest: Callable[[bytes], str] = digest
    descriptor: Callable[..., dict[str, Any]] = descriptor
    docker_archive: Callable[..., bytes] = docker_archive
    push: Callable[..., None] = push
    layout: type[Layout] = Layout

    def pack(self, packing: str, data: bytes) -> bytes:
        return PACKERS[packing](data)


@pytest.fixture(scope="session")
def writing() -> Writing:
    return Writing()


def shown(subject: Any) -> dict[str, bytes]:
    """The content of every file that an image finally shows."""
    seen = []
    with subject:
        for member in subject.members():
            with member.open() as blob:
                seen.append((member, blob.read_at(0, blob.size)))
        return {path: data for member, data in seen for path in subject.paths_of(member)}


@pytest.fixture(scope="session")
def files_of() -> Callable[[Any], dict[str, bytes]]:
    return shown


@pytest.fixture(scope="session")
def docker() -> Callable[..., bytes]:
    """Runs the engine's command line."""

    def run(*arguments: str) -> bytes:
        return subprocess.run(["docker", *arguments], check=True, capture_output=True).stdout

    return run
