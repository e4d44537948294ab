"""smforge audit on images: one image is one report, however it is stored."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SOURCE = "__global__ void fill(float *out) { out[threadIdx.x] = 1.0f; }\n"


@pytest.fixture(scope="module")
def library(nvcc: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A shared library with code for 12.0 and 9.0."""
    folder = tmp_path_factory.mktemp("library")
    (folder / "fill.cu").write_text(SOURCE)
    targets = ("-gencode=arch=compute_120f,code=sm_120f", "-gencode=arch=compute_90,code=sm_90")
    made = folder / "libfill.so"
    compile_it: list[str | Path] = [
        nvcc,
        *targets,
        "-shared",
        "-Xcompiler=-fPIC",
        "-o",
        made,
        folder / "fill.cu",
    ]
    subprocess.run(compile_it, check=True)
    return made.read_bytes()


def audit(*arguments: str) -> tuple[int, dict[str, Any], str]:
    command = [sys.executable, "-m", "smforge", "-q", "audit", "-o", "json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


@pytest.fixture
def layout(writing: Any, library: bytes) -> Any:
    layout = writing.layout()
    layout.add(
        [
            writing.layer(("file", "lib/old.so", library), ("file", "lib/a.so", library)),
            writing.layer(("file", "lib/.wh.old.so")),
            writing.layer(("file", "opt/a.so", library), ("hardlink", "opt/b.so", "opt/a.so")),
        ],
        name="docker.io/library/smforge-test-audit:1",
    )
    return layout


@pytest.mark.toolchain
def test_the_report_is_of_the_final_file_system(layout: Any, tmp_path: Path) -> None:
    folder = layout.write_folder(tmp_path)
    code, report, _ = audit(f"oci:{folder}", "--require", "12.1")
    assert (code, report["verdict"]) == (0, "pass")
    assert [file["path"] for file in report["files"]] == ["lib/a.so", "opt/a.so", "opt/b.so"]
    assert report["subject"] == {
        "kind": "image",
        "name": "smforge-test-audit:1",
        "digest": layout.manifests[0]["digest"],
        "platform": "linux/amd64",
    }
    code, report, _ = audit(f"oci:{folder}", "--require", "10.0")
    assert (code, report["verdict"]) == (1, "fail")


@pytest.mark.toolchain
@pytest.mark.engine
@pytest.mark.network
def test_every_way_to_an_image_gives_one_report(
    layout: Any, writing: Any, tmp_path: Path, docker: Callable[..., bytes], serving: Any
) -> None:
    with serving(tmp_path) as host:
        name = f"{host}/team/image:1"
        layout.manifests[0]["annotations"]["io.containerd.image.name"] = name
        folder = layout.write_folder(tmp_path / "layout")
        packed = layout.write_archive(tmp_path / "image.tar.gz", "gzip")
        writing.push(host, "team/image:1", layout)
        docker("image", "load", "--input", str(layout.write_archive(tmp_path / "image.tar")))
        saved = tmp_path / "saved.tar"
        docker("image", "save", "--output", str(saved), name)
        ways = (f"oci:{folder}", f"archive:{packed}", f"archive:{saved}", f"image:{name}")
        try:
            question = ("--require", "11.0 12.0f", "--kernels")
            first, *others = (audit(way, *question) for way in (*ways, f"registry:{name}"))
        finally:
            docker("image", "rm", name)
    assert first[0] == 1
    assert first[1]["subject"]["name"] == name
    assert all(other == first for other in others)


def test_damage_and_emptiness_are_told_apart(writing: Any, tmp_path: Path) -> None:
    layout = writing.layout()
    layout.add([writing.layer(("file", "etc/hostname", b"x"))])
    path = layout.write_archive(tmp_path / "image.tar")
    code, report, _ = audit(f"archive:{path}")
    assert (code, report["verdict"]) == (3, "nothing")
    path.write_bytes(path.read_bytes()[:2000])
    code, report, said = audit(f"archive:{path}")
    assert (code, report["verdict"], report["files"]) == (4, "undetermined", [])
    assert "ends at byte" in said


def test_a_platform_is_chosen_on_the_command_line(writing: Any, tmp_path: Path) -> None:
    layout = writing.layout()
    for architecture in ("amd64", "arm64"):
        layout.add([writing.layer(("file", "a", b"x"))], architecture=architecture)
    folder = layout.write_folder(tmp_path)
    code, _, said = audit(f"oci:{folder}")
    assert code == 2
    assert "--platform" in said
    code, report, _ = audit(f"oci:{folder}", "--platform", "linux/arm64")
    assert code == 3
    assert report["subject"]["platform"] == "linux/arm64"


@pytest.mark.engine
def test_what_the_engine_lacks_is_told() -> None:
    code, _, said = audit("image:smforge-test-nowhere:1")
    assert code == 2
    assert "has no image smforge-test-nowhere:1" in said


def test_an_engine_that_does_not_answer_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nowhere.sock")
    code, _, said = audit("image:python:3.13")
    assert code == 4
    assert ": The Docker Engine cannot be asked" in said or "docker is not installed" in said


@pytest.mark.parametrize("sent", [0, 700, 20_000])
def test_an_engine_that_fails_while_it_saves_is_told(
    sent: int, writing: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A real engine breaks off only when it is killed, and never at a chosen byte.
    layout = writing.layout()
    layout.add([writing.layer(("file", "a", bytes(100_000)))], packing="plain")
    saved = layout.write_archive(tmp_path / "image.tar")
    docker = tmp_path / "docker"
    docker.write_text(
        f'#!/bin/sh\n[ "$2" = inspect ] && exit 0\nhead -c {sent} {saved}\n'
        "echo 'the disk is on fire' >&2\nexit 1\n"
    )
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("SMFORGE_STATE", str(tmp_path / "no engine of smforge's own"))
    code, report, said = audit("image:a:1")
    assert (code, report["verdict"], report["files"]) == (4, "undetermined", [])
    assert "docker image save failed: the disk is on fire" in said
