"""Imports the scripts of docker/, which are no package: in the image they lie in one directory."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def script() -> Callable[[str], ModuleType]:
    """Import ``docker/NAME.py``."""

    def load(name: str) -> ModuleType:
        path = ROOT / "docker" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(f"docker_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """``published("nixl", "13")`` fetches the x86-64 wheel that versions.json names, by hash."""
    sources = json.loads((ROOT / "versions.json").read_text())["sources"]
    fetched: dict[tuple[str, str], Path] = {}

    def fetch(component: str, major: str) -> Path:
        folder = tmp_path_factory.mktemp("published")
        source = sources[component][major]
        hashes = " ".join(f"--hash=sha256:{digest}" for digest in source["files"].values())
        requirements = folder / "requirements.txt"
        requirements.write_text(f"{source['distribution']}=={source['version']} {hashes}\n")
        pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps")
        tags = ("--only-binary=:all:", "--python-version=3.13", "--platform=manylinux_2_28_x86_64")
        subprocess.run(
            (*pip, *tags, "--require-hashes", f"--dest={folder}", f"--requirement={requirements}"),
            check=True,
        )
        (wheel,) = folder.glob("*.whl")
        return wheel

    def get(component: str, major: str) -> Path:
        if (component, major) not in fetched:
            fetched[component, major] = fetch(component, major)
        return fetched[component, major]

    return get
