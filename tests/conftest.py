"""Fixtures for every test: NVIDIA's own tools, found on the machine or brought from packages.

What is brought is kept in .smforge/toolchains, whole or not at all, and used again.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from fnmatch import fnmatchcase
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
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
