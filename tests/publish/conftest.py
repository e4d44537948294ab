"""A small image that BuildKit really builds: a cubin's library, a Python package, a status file."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import urllib3

DOCKERFILE = """\
FROM scratch
LABEL org.opencontainers.image.title="Small" io.smforge.devices="12.0 12.1" maintainer="nobody"
COPY content /
"""
METADATA = """\
Metadata-Version: 2.4
Name: Flash_Infer
Version: 0.7.2+cu130
License-Expression: Apache-2.0

A description with Name: decoy
"""
STATUS = """\
Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.41-12

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1
"""


@dataclass(frozen=True)
class Image:
    """What was built, and under which name."""

    layout: Path
    name: str


@pytest.fixture(scope="session")
def library(compile_with: Callable[..., Path]) -> Path:
    """A shared library with one kernel for 12.0f."""
    source = '#include <cstdint>\nextern "C" __global__ void one(uint32_t *x) { *x = 1; }\n'
    flags = ("-shared", "-Xcompiler=-fPIC", "-gencode=arch=compute_120f,code=sm_120f")
    return compile_with(source, "libone.so", *flags)


@pytest.fixture(scope="session")
def built(
    library: Path, engine: str, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Image]:
    """Builds the image into a layout, with or without provenance, for a platform."""

    def build(provenance: bool, platform: str = "linux/amd64") -> Image:
        root = tmp_path_factory.mktemp("image")
        content = root / "context" / "content"
        installed = content / "usr/lib/python3/site-packages/flash_infer-0.7.2+cu130.dist-info"
        installed.mkdir(parents=True)
        (installed / "METADATA").write_text(METADATA)
        status = content / "var/lib/dpkg/status"
        status.parent.mkdir(parents=True)
        status.write_text(STATUS)
        shutil.copy(library, content)
        (content / "unique").write_text(str(uuid4()))
        (root / "context" / "Dockerfile").write_text(DOCKERFILE)
        name = f"smforge-test/{uuid4().hex}:1"
        attest = "--attest=type=provenance,mode=max" if provenance else "--provenance=false"
        output = f"--output=type=oci,tar=false,dest={root / 'layout'}"
        flags = ("--quiet", attest, output, f"--tag={name}", f"--platform={platform}")
        command = ("docker", "buildx", "build", *flags, root / "context")
        subprocess.run(command, check=True, capture_output=True)
        return Image(root / "layout", name)

    return build


@pytest.fixture(scope="session")
def provenance(built: Callable[..., Image]) -> Image:
    """Built once; copied by `image`."""
    return built(True)


@pytest.fixture
def image(provenance: Image, tmp_path: Path) -> Image:
    """A layout of the test's own, as the build's default writes it."""
    return Image(shutil.copytree(provenance.layout, tmp_path / "layout"), provenance.name)


@pytest.fixture
def registry(serving: Callable[..., Any], tmp_path: Path) -> Iterator[str]:
    """The address of an empty registry."""
    folder = tmp_path / "registry"
    folder.mkdir()
    with serving(folder) as host:
        yield host


@pytest.fixture
def ask(registry: str) -> Callable[..., Any]:
    """GET something of the registry as JSON; None where it has none."""

    def get(path: str) -> Any:
        accept = (
            "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"
        )
        answer = urllib3.request("GET", f"http://{registry}/v2/{path}", headers={"Accept": accept})
        return json.loads(answer.data) if answer.status == 200 else None

    return get


@pytest.fixture
def log_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Stores a login as `docker login` does, for this test alone."""

    def store(host: str, pair: str) -> None:
        auth = base64.b64encode(pair.encode()).decode()
        text = json.dumps({"auths": {host: {"auth": auth}}})
        (tmp_path / "config.json").write_text(text)
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))

    return store
