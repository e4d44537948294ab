"""Imports the scripts of docker/, which are no package: in the image they lie in one directory."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from smforge.bake.host import own_engine
from smforge.bake.inputs.rootfs import default_store, ensure_rootfs, root_file_systems
from smforge.matrix.load import load
from smforge.plan.resolve import resolve

ROOT = Path(__file__).parents[2]
START_SECONDS = 20


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


@pytest.fixture(scope="session")
def answers() -> Callable[[int, subprocess.Popen[bytes]], None]:
    """``answers(port, process)`` waits until the server that was just started can be reached."""

    def wait(port: int, process: subprocess.Popen[bytes]) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            assert process.poll() is None, "the server ended"
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                time.sleep(0.1)
            else:
                return
        pytest.fail("the server did not answer")

    return wait


@pytest.fixture(scope="session")
def demo_variables() -> dict[str, str]:
    """Those of ``demo``, with the root file system that its base starts from in place."""
    (cell,) = resolve(load(ROOT / "versions.json"), ("demo",)).cells
    for rootfs in root_file_systems(cell).values():
        ensure_rootfs(rootfs, default_store())
    out = ROOT / ".smforge" / "end-to-end"
    done = subprocess.run(
        (sys.executable, "-m", "smforge", "build", "demo", "--out", str(out), "--print"),
        cwd=ROOT,
        env={**os.environ, **own_engine.settings(os.environ)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    found: dict[str, str] = json.loads(done.stdout)["builds"][0]["variables"]
    return found
