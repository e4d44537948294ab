"""Probes run in real containers and real interpreters; what keeps them from it is told."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from smforge.arch.target import ComputeCapability
from smforge.errors import ToolError
from smforge.inventory.probing.running import ProbeLimits, probe_image, probe_python

DEVICES = (ComputeCapability.parse("12.1"),)


def test_a_python_of_this_host(tmp_path: Path) -> None:
    found = probe_python(sys.executable, DEVICES)
    assert found.not_run is None
    for name, document in found.documents().items():
        assert document is not None, name
        assert document.devices == ("12.1",)
        assert document.failure is None


def test_a_python_that_is_not_there() -> None:
    with pytest.raises(ToolError, match="cannot be run"):
        probe_python("/nowhere/python", DEVICES)


def test_what_is_no_python_is_told(tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho no such thing >&2\nexit 9\n")
    program.chmod(0o755)
    found = probe_python(str(program), DEVICES)
    assert found.not_run is not None
    assert found.not_run.endswith("exit status 9: no such thing")


def test_one_that_does_not_end_is_ended(tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nexec sleep 1000\n")
    program.chmod(0o755)
    found = probe_python(str(program), DEVICES, limits=ProbeLimits(seconds=0.1, margin=0.1))
    assert "did not end" in (found.not_run or "")


@pytest.fixture
def image(tmp_path: Path) -> Iterator[str]:
    """An image without any program."""
    name = f"smforge-test/probes-{uuid.uuid4().hex}"
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    subprocess.run(["docker", "build", "--quiet", "--tag", name, tmp_path], check=True)
    yield name
    subprocess.run(["docker", "image", "rm", "--force", name], check=True)


@pytest.fixture
def python_image(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """An image of this host's Python and what it is linked with, for a user who is not root."""
    program = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    library = Path(sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix}))
    root = tmp_path / "root"
    unwanted = shutil.ignore_patterns("test", "__pycache__", "site-packages", "dist-packages")
    shutil.copytree(library, root / library.relative_to("/"), ignore=unwanted, symlinks=True)
    objects = [program, *library.glob("lib-dynload/*.so")]
    needed = subprocess.run(["ldd", *objects], capture_output=True, text=True, check=True).stdout
    files = {program, *(Path(one) for one in re.findall(r"(/\S+) \(0x", needed))}
    for file in files:
        place = root / file.relative_to("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)
        place.chmod(0o755)
    name = f"smforge-test/probes-{uuid.uuid4().hex}"
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY root/ /\nUSER 1234\n")
    subprocess.run(["docker", "build", "--quiet", "--tag", name, tmp_path], check=True)
    yield name, str(program)
    subprocess.run(["docker", "image", "rm", "--force", name], check=True)


@pytest.mark.engine
def test_a_python_of_an_image(python_image: tuple[str, str]) -> None:
    name, python = python_image
    found = probe_image(name, DEVICES, python=python)
    assert found.not_run is None
    for probe, document in found.documents().items():
        assert document is not None, probe
        assert (document.failure, document.ended) == (None, None), probe
        assert document.devices == ("12.1",)
    assert found.models is not None
    assert found.models.there is False


@pytest.mark.engine
def test_an_image_without_python_is_told(image: str) -> None:
    found = probe_image(image, DEVICES)
    assert "has no Python that could run the probes" in (found.not_run or "")
    assert all(document is None for document in found.documents().values())


@pytest.mark.engine
def test_no_container_is_left(image: str) -> None:
    probe_image(image, DEVICES)
    left = subprocess.run(
        ["docker", "ps", "--all", "--quiet", f"--filter=ancestor={image}"],
        check=True,
        capture_output=True,
    )
    assert left.stdout == b""
