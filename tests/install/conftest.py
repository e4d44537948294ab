"""The distribution as it is published, and clean environments with it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EPOCH = "1795219200"


def build_distribution(into: Path, tree: Path = ROOT) -> tuple[Path, Path]:
    """Build the sdist and the wheel of this checkout or another tree, as `make dist` does."""
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(into)]
    environment = os.environ | {"SOURCE_DATE_EPOCH": EPOCH}
    subprocess.run(command, cwd=tree, env=environment, check=True, capture_output=True)
    (wheel,) = into.glob("*.whl")
    (sdist,) = into.glob("*.tar.gz")
    return sdist, wheel


@pytest.fixture(scope="session")
def distribution(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sdist and the wheel."""
    return build_distribution(tmp_path_factory.mktemp("dist"))


@dataclass(frozen=True)
class Installed:
    """An environment in which smforge is installed, and nothing of this checkout is on a path."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def run(
        self, *arguments: object, cwd: Path, **settings: str
    ) -> subprocess.CompletedProcess[str]:
        """``smforge ARGUMENTS`` in `cwd`, with `settings` added to the environment."""
        hidden = {"PYTHONPATH", "VIRTUAL_ENV"}
        environment = {key: value for key, value in os.environ.items() if key not in hidden}
        command = [str(self.folder / "bin" / "smforge"), *map(str, arguments)]
        return subprocess.run(
            command,
            cwd=cwd,
            env=environment | settings,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="session")
def install(
    distribution: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Installed]:
    """``install("runtime")``: an environment with a lock's packages and the wheel alone."""
    _, wheel = distribution

    def make(lock: str) -> Installed:
        folder = tmp_path_factory.mktemp(f"installed-{lock}") / "venv"
        requirements = ROOT / "requirements" / f"{lock}.txt"
        uv = Path(sys.executable).with_name("uv")
        for command in (
            ["venv", "--python", sys.executable, folder],
            ["pip", "install", "--python", folder, "--require-hashes", "-r", requirements],
            ["pip", "install", "--python", folder, "--no-deps", wheel],
        ):
            done = subprocess.run(
                [uv, "--quiet", *map(str, command)], capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
        return Installed(folder)

    return make


@pytest.fixture(scope="session")
def reader(install: Callable[[str], Installed]) -> Installed:
    """An environment with what ``smforge`` alone brings."""
    return install("runtime")


@pytest.fixture(scope="session")
def builder(install: Callable[[str], Installed]) -> Installed:
    """An environment with what ``smforge[build]`` brings."""
    return install("build")
