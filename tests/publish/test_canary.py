"""A secret of a build is nowhere in what the build leaves behind, and would be found if it were."""

from __future__ import annotations

import base64
import gzip
import io
import secrets
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.canary import Canary, main
from smforge.publish.finish import finish

MOMENT = datetime(2026, 11, 21, tzinfo=UTC)
USES_IT = """\
FROM scratch
COPY busybox /bin/busybox
ARG WORD
RUN --mount=type=secret,id=token ["/bin/busybox", "sha256sum", "/run/secrets/token"]
"""
WITH_IT = "RUN --mount=type=secret,id=token"
LEAKS = {
    "layer": f'{WITH_IT} ["/bin/busybox", "cp", "/run/secrets/token", "/x"]\n',
    "configuration": "LABEL word=$WORD\n",
    "provenance": "",
    "log": f'{WITH_IT} ["/bin/busybox", "cat", "/run/secrets/token"]\n',
}


@pytest.fixture
def secret() -> str:
    return f"canary-{secrets.token_hex(12)}"


Build = Callable[..., Path]


@pytest.fixture
def build(secret: str, busybox: Path, engine: str, tmp_path: Path) -> Build:
    """Builds with the secret; what comes out is a folder with a layout and a log."""

    def run(dockerfile: str, word: str = "") -> Path:
        context, out = tmp_path / "context", tmp_path / "out"
        context.mkdir()
        out.mkdir()
        shutil.copy(busybox, context)
        (context / "Dockerfile").write_text(dockerfile)
        token = tmp_path / "token"
        token.write_text(secret)
        command = (
            *("docker", "buildx", "build", "--no-cache", "--progress=rawjson"),
            f"--secret=id=token,src={token}",
            f"--build-arg=WORD={word}",
            "--attest=type=provenance,mode=max",
            f"--output=type=oci,tar=false,dest={out / 'image'}",
            str(context),
        )
        done = subprocess.run(command, check=True, capture_output=True)
        (out / "log").write_bytes(done.stderr)
        finish(out / "image", "{}", "pass", MOMENT, lambda *_: {"spdxVersion": "SPDX-2.3"})
        return out

    return run


@pytest.mark.engine
@pytest.mark.network
def test_a_secret_that_is_used_leaves_no_trace(build: Build, secret: str) -> None:
    assert list(Canary(secret.encode()).places(build(USES_IT))) == []


@pytest.mark.engine
@pytest.mark.network
@pytest.mark.parametrize("way", LEAKS)
def test_a_secret_that_leaks_is_found(way: str, build: Build, secret: str) -> None:
    word = secret if way in {"configuration", "provenance"} else ""
    out = build(USES_IT + LEAKS[way], word)
    found = list(Canary(secret.encode()).places(out))
    assert found
    assert any(place.endswith("unpacked") for place in found) == (way == "layer")
    assert any(place.endswith("log") for place in found) == (way == "log")


def archived(name: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def zipped(name: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return buffer.getvalue()


@pytest.mark.parametrize("before", range(4))
def test_every_form_in_every_wrapping_is_found(before: int, secret: str, tmp_path: Path) -> None:
    canary = Canary(secret.encode())
    plain = bytes(before) + secret.encode() + b"rest"
    wrapped = archived("a.whl", zipped("b", plain))
    for data in (plain, base64.b64encode(plain), gzip.compress(wrapped), wrapped):
        (tmp_path / "file").write_bytes(data)
        assert len(list(canary.places(tmp_path))) == 1
    # Across the border between two readings.
    (tmp_path / "file").write_bytes(bytes((1 << 20) - 5) + plain)
    assert len(list(canary.places(tmp_path))) == 1
    (tmp_path / "file").write_bytes(b"canary-")
    assert list(canary.places(tmp_path)) == []
    (tmp_path / secret).touch()
    assert len(list(canary.places(tmp_path))) == 1


def test_the_command_exits_by_what_it_finds(secret: str, tmp_path: Path) -> None:
    token, out = tmp_path / "token", tmp_path / "out"
    token.write_text(f"{secret}\n")
    out.mkdir()
    assert main([str(token), str(out)]) == 0
    (out / "record.json").write_text(secret)
    assert main([str(token), str(out)]) == 1
