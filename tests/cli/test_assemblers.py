"""``smforge audit`` of a subject with an assembler that harms whoever runs it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Smforge = Callable[..., "Ran"]  # type: ignore[name-defined]  # noqa: F821 - of conftest.py
pytestmark = pytest.mark.toolchain
HOSTILE = Path(__file__).parents[1] / "inventory" / "jit_tools" / "data" / "hostile.c"


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "120"]) as process:
        yield process
        process.kill()


@pytest.fixture
def folder(libraries: Path, victim: subprocess.Popen[bytes], tmp_path: Path) -> Path:
    """GPU code for 12.0, and beside it a ptxas that kills `victim`."""
    made = tmp_path / "folder"
    shutil.copytree(libraries, made)
    names = [f"-DVICTIM={victim.pid}", f'-DSOCKET="{tmp_path}/socket"', "-DPORT=9"]
    program = made / "bin" / "ptxas"
    program.parent.mkdir()
    subprocess.run(["gcc", "-pthread", *names, HOSTILE, "-o", program], check=True)
    return made


def rules(output: str) -> dict[str, dict[str, str]]:
    return {one["rule"]: one for one in json.loads(output)["findings"]}


def test_by_default_nothing_is_run(
    smforge: Smforge, folder: Path, victim: subprocess.Popen[bytes]
) -> None:
    for backend in ("native", "cuobjdump", "both"):
        ran = smforge("audit", folder, "--require", "12.0", "-o", "json", "--backend", backend)
        assert ran.code == 0, ran.out
        assert "jit-assembler" not in rules(ran.out)
        assert victim.poll() is None


def test_with_probe_it_is_run_and_can_do_no_harm(
    smforge: Smforge, folder: Path, victim: subprocess.Popen[bytes]
) -> None:
    ran = smforge("audit", folder, "--require", "12.0", "-o", "json", "--probe")
    found = rules(ran.out)
    if "cannot confine it" in found["jit-assembler"]["message"]:
        pytest.skip("this host cannot confine a program")
    assert ran.code == 0, ran.out
    assert "sm_121a; it was run, confined, and listed them" in found["jit-assembler"]["message"]
    assert found["probe-failed"]["level"] == "warning"
    assert "Only 1 of 1 assembler in folder was run" in found["probe-failed"]["message"]
    assert victim.poll() is None


def test_probing_what_has_nothing_to_run_is_no_pass(smforge: Smforge, wheel: Path) -> None:
    ran = smforge("audit", wheel, "--require", "12.0", "--probe")
    assert ran.code == 4
    assert "Nothing of" in ran.out


def test_a_python_needs_a_folder(smforge: Smforge, wheel: Path) -> None:
    ran = smforge("audit", wheel, "--require", "12.0", "--probe-python", "/usr/bin/python3")
    assert ran.code == 2
    assert "neither an image of the engine nor a folder" in ran.err
