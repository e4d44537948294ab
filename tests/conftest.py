"""Fixtures for every test: real tools and services, found on the machine or brought from packages.

What is brought is kept in .smforge/toolchains, whole or not at all, and used again.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

# Before pip, which some tests import: setuptools cannot be imported after it in the same process.
import setuptools.build_meta
import setuptools.command.build_ext  # noqa: F401
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parents[1]
TOOLCHAINS = ROOT / ".smforge" / "toolchains"
_EVERYTHING = ("*",)
PINS: dict[str, Any] = json.loads((Path(__file__).parent / "toolchains" / "pins.json").read_text())

# How long an example takes says something about the machine's other users, nothing about the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def nvcc() -> Path:
    """An nvcc 13.0 that compiles and links: the machine's own, else the one of the packages.

    It needs a host compiler (g++), as nvcc always does.
    """
    own = shutil.which("nvcc")
    if own is not None and "release 13.0," in _output(own, "--version"):
        return Path(own)
    return _unpacked("nvcc", PINS["nvcc"]) / "bin" / "nvcc"


@pytest.fixture(scope="session")
def compile_with(nvcc: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``compile_with(source, output, flag, …)`` runs nvcc and gives the path of what it wrote."""

    def compile_source(source: str, output: str, *flags: str) -> Path:
        place = tmp_path_factory.mktemp("nvcc")
        (place / "kernels.cu").write_text(source)
        command = [str(nvcc), *flags, "-o", output, "kernels.cu"]
        result = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        return place / output

    return compile_source


@pytest.fixture(scope="session")
def ptxas(nvcc: Path) -> Path:
    """The ptxas that belongs to `nvcc`."""
    beside = nvcc.resolve().parent / "ptxas"
    found = beside if beside.exists() else Path(shutil.which("ptxas") or beside)
    assert found.exists(), f"{nvcc} has no ptxas beside it"
    return found


@pytest.fixture(scope="session")
def cuobjdump() -> Path:
    """The cuobjdump of the package that smforge itself depends on."""
    for file in metadata.distribution("nvidia-cuda-cuobjdump").files or ():
        if file.name == "cuobjdump":
            return Path(str(file.locate())).resolve()
    pytest.fail("nvidia-cuda-cuobjdump is installed but holds no cuobjdump")


@pytest.fixture(scope="session")
def debian_package() -> Callable[[str], Path]:
    """Gives the folder of a Debian package by name, unpacked without being installed."""

    def folder(name: str) -> Path:
        kept = TOOLCHAINS / f"debian-{name}"
        if not kept.is_dir():
            _bring_debian(name, kept)
        return kept

    return folder


@pytest.fixture(scope="session")
def busybox(debian_package: Callable[[str], Path]) -> Path:
    """A static busybox: all that a container from scratch needs to run a step."""
    folder = debian_package("busybox-static")
    return next(path for path in folder.rglob("busybox") if os.access(path, os.X_OK))


@pytest.fixture(scope="session")
def engine() -> str:
    """The engine that the environment names; without one an engine test fails, never skips."""
    done = subprocess.run(
        ("docker", "version", "--format", "{{.Server.Version}}"),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.fail(
            "No Docker Engine answers. 'make test' starts one; '-m \"not engine\"' omits this."
        )
    return done.stdout.strip()


@pytest.fixture(scope="session")
def registry_program(debian_package: Callable[[str], Path]) -> Path:
    """Debian's registry, the machine's own or the package's."""
    own = shutil.which("docker-registry")
    return Path(own) if own else debian_package("docker-registry") / "usr/bin/docker-registry"


@contextlib.contextmanager
def serve(program: Path, folder: Path, authentication: str = "") -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    configuration = folder / "registry.yml"
    configuration.write_text(
        f"version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n"
        f"storage: {{filesystem: {{rootdirectory: '{folder}/data'}}}}\n{authentication}"
    )
    with (folder / "registry.log").open("wb") as log:
        process = subprocess.Popen(
            [program, "serve", configuration],
            stdout=log,
            stderr=log,
            env={"OTEL_SDK_DISABLED": "1"},
        )
    try:
        wait_for(port, process)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    pytest.fail("docker-registry does not answer")


@pytest.fixture
def serving(registry_program: Path) -> Callable[..., Any]:
    """Gives a context in which a registry keeps its data in a folder, with its host and port."""
    return functools.partial(serve, registry_program)


@pytest.fixture(scope="session")
def compiler_folder() -> Callable[[str], Path]:
    """Gives, for a CUDA release such as 12.9, a folder with its compiler's bin/ and include/.

    Before 13.0 the packages have ptxas but no nvcc.
    """

    def folder(version: str) -> Path:
        wanted = ("bin/ptxas", "bin/nvcc*", "include/crt/host_config.h")
        return _unpacked(f"compiler-{version}", PINS["compilers"][version], wanted)

    return folder


def _unpacked(
    name: str, packages: list[dict[str, Any]], wanted: tuple[str, ...] = _EVERYTHING
) -> Path:
    """The root of the toolkit that the wheels of `packages` make together.

    `wanted` are patterns of the files to keep, relative to that root.
    """
    cpu = platform.machine()
    pins = "".join(f"{one['requirement']} --hash=sha256:{one['sha256'][cpu]}\n" for one in packages)
    kept = TOOLCHAINS / f"{name}-{hashlib.sha256(pins.encode()).hexdigest()[:12]}"
    if not kept.is_dir():
        TOOLCHAINS.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=TOOLCHAINS) as scratch:
            made = Path(scratch) / name
            _bring(pins, Path(scratch) / "wheels", made, wanted)
            try:
                made.rename(kept)
            except OSError:
                # Another test session was faster; its folder is as good.
                if not kept.is_dir():
                    raise
    (root,) = {found.parents[1] for found in kept.glob("nvidia/*/bin/ptxas")}
    return root


def _bring(pins: str, wheels: Path, made: Path, wanted: tuple[str, ...]) -> None:
    wheels.mkdir()
    requirements = wheels / "requirements.txt"
    requirements.write_text(pins)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    subprocess.run(
        [*pip, "--require-hashes", "--dest", str(wheels), "--requirement", str(requirements)],
        check=True,
    )
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.namelist():
                if any(fnmatchcase(member, f"nvidia/*/{pattern}") for pattern in wanted):
                    archive.extract(member, made)
    for folder in ("bin", "nvvm/bin"):
        for program in made.glob(f"nvidia/*/{folder}/*"):
            program.chmod(0o755)
    for library in made.glob("nvidia/*/lib/lib*.so.*"):
        # Wheels carry no development links, which the linker needs.
        library.with_name(f"{library.name.partition('.so.')[0]}.so").symlink_to(library.name)
    for root in made.glob("nvidia/cu*"):
        if (root / "lib").is_dir() and not (root / "lib64").exists():
            (root / "lib64").symlink_to("lib")


def _bring_debian(name: str, kept: Path) -> None:
    TOOLCHAINS.mkdir(parents=True, exist_ok=True)
    download = ("apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", name)
    with tempfile.TemporaryDirectory(dir=TOOLCHAINS) as home:
        if subprocess.run(download, cwd=home, check=False).returncode != 0:
            # A new machine has no package lists yet.
            subprocess.run(("apt-get", "update", "-qq"), check=True)
            subprocess.run(download, cwd=home, check=True)
        (package,) = Path(home).glob("*.deb")
        made = Path(home) / "made"
        subprocess.run(("dpkg-deb", "-x", package, made), check=True)
        made.rename(kept)


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
