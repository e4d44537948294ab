"""What tools/engine provides is found without settings, and never instead of another engine."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from smforge.bake.host.own_engine import settings, state_directory

SCRIPT = Path(__file__).parents[2] / "tools" / "engine"


@pytest.fixture
def state() -> Iterator[Path]:
    """A state directory with an unpacked client and a socket, short as socket names have to be."""
    with tempfile.TemporaryDirectory() as name:
        state = Path(name)
        (state / "root" / "usr" / "bin").mkdir(parents=True)
        (state / "root" / "usr" / "bin" / "docker").touch()
        (state / "run").mkdir()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(state / "run" / "docker.sock"))
            yield state


def test_the_provided_engine_is_found(state: Path) -> None:
    found = settings({"SMFORGE_STATE": str(state), "PATH": "/usr/bin"}, customary=state / "none")
    assert found == {
        "PATH": f"{state}/root/usr/bin:/usr/bin",
        "DOCKER_CONFIG": f"{state}/client",
        "DOCKER_HOST": f"unix://{state}/run/docker.sock",
        "BUILD_NETWORK": "host",
    }


@pytest.mark.parametrize("name", ["DOCKER_HOST", "DOCKER_CONTEXT"])
def test_a_stated_engine_stays(state: Path, name: str) -> None:
    environment = {"SMFORGE_STATE": str(state), name: "elsewhere"}
    assert "DOCKER_HOST" not in settings(environment, customary=state / "none")


def test_the_engine_on_the_customary_socket_stays(state: Path) -> None:
    customary = state / "run" / "docker.sock"
    found = settings({"SMFORGE_STATE": str(state)}, customary=customary)
    assert "DOCKER_HOST" not in found


def test_without_a_client_of_its_own_the_hosts_is_used(state: Path) -> None:
    (state / "root" / "usr" / "bin" / "docker").unlink()
    found = settings({"SMFORGE_STATE": str(state), "PATH": "/usr/bin"}, customary=state / "none")
    assert found["PATH"] == f"/usr/bin:{state}/root/usr/bin"
    assert "DOCKER_CONFIG" not in found


def test_nothing_is_found_where_nothing_was_provided(tmp_path: Path) -> None:
    assert settings({"SMFORGE_STATE": str(tmp_path)}, customary=tmp_path / "none") == {}


def test_finding_it_twice_changes_nothing(state: Path) -> None:
    environment = {"SMFORGE_STATE": str(state), "PATH": "/usr/bin"}
    once = settings(environment, customary=state / "none")
    assert settings({**environment, "PATH": once["PATH"]})["PATH"] == once["PATH"]


@pytest.mark.parametrize(
    "environment",
    [{}, {"XDG_STATE_HOME": "/state"}, {"SMFORGE_STATE": "/elsewhere"}],
    ids=["default", "xdg", "stated"],
)
def test_the_script_keeps_its_state_where_it_is_looked_for(environment: dict[str, str]) -> None:
    clean = {"PATH": os.environ["PATH"], "HOME": "/home/someone", **environment}
    usage = subprocess.run(
        (str(SCRIPT), "--help"), env=clean, capture_output=True, text=True, check=True
    ).stdout
    stated = shlex.split(usage.splitlines()[-1])[-1].removesuffix(".")
    assert Path(stated) == state_directory(clean, os.geteuid())
