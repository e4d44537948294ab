"""``smforge build`` as a process: its exit codes, its streams, its sentences."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from smforge.bake.host import own_engine

ROOT = Path(__file__).parents[2]


def smforge(
    *arguments: str, cwd: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-m", "smforge", *arguments),
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT / "builder"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The only line of an error."""
    (line,) = done.stderr.splitlines()
    assert line.startswith("smforge: ")
    assert done.stdout == ""
    return line


@pytest.fixture
def definition(tmp_path: Path) -> Path:
    """The repository's own definition, without its outputs."""
    place = tmp_path / "checkout"
    place.mkdir()
    for name in ("versions.json", "docker-bake.hcl"):
        shutil.copy(ROOT / name, place)
    shutil.copytree(ROOT / "docker", place / "docker")
    return place


@pytest.mark.skipif(own_engine.CUSTOMARY_SOCKET.is_socket(), reason="the host runs an engine")
def test_steps_on_the_engine_of_tools_engine_use_the_network_of_the_host(definition: Path) -> None:
    environment = {**os.environ, **own_engine.settings(os.environ)}
    with tempfile.TemporaryDirectory() as state, socket.socket(socket.AF_UNIX) as listener:
        (Path(state) / "run").mkdir()
        listener.bind(f"{state}/run/docker.sock")
        done = smforge(
            *("build", "--print", "demo"),
            cwd=definition,
            PATH=environment["PATH"],
            DOCKER_CONFIG=environment.get("DOCKER_CONFIG", ""),
            SMFORGE_STATE=state,
            DOCKER_HOST="",
            BUILD_NETWORK="",
        )
    assert done.returncode == 0, done.stderr
    (build,) = json.loads(done.stdout)["builds"]
    assert build["definition"]["target"]["base"]["network"] == "host"


@pytest.mark.parametrize("place", ["checkout/ci", "outside"])
def test_a_matrix_may_lie_beside_the_checkout_or_in_a_folder_of_it(
    definition: Path, tmp_path: Path, place: str
) -> None:
    (tmp_path / place).mkdir()
    matrix = shutil.move(definition / "versions.json", tmp_path / place / "w.json")
    done = smforge("--config", str(matrix), "build", "--print", "demo", cwd=definition)
    assert done.returncode == 0, done.stderr
    (build,) = json.loads(done.stdout)["builds"]
    assert build["directory"] == str(definition)
    assert "flashinfer-sm120f" in build["definition"]["target"]


def test_print_shows_command_and_definition_and_needs_no_engine(
    definition: Path, tmp_path: Path
) -> None:
    done = smforge(
        "build", "--print", "demo", cwd=definition, DOCKER_HOST=f"unix://{tmp_path}/none.sock"
    )
    assert done.returncode == 0, done.stderr
    (build,) = json.loads(done.stdout)["builds"]
    assert build["variant"] == "demo"
    assert build["command"][:3] == ["docker", "buildx", "bake"]
    assert " ".join(build["command"]) in done.stderr
    targets = build["definition"]["target"]
    for target in ("flashinfer-sm110a", "flashinfer-sm120f", "flashinfer-sm121a"):
        assert target in build["command"]
        assert targets[target]["args"]["MAX_JOBS"] == build["variables"]["MAX_JOBS"]
        (output,) = targets[target]["output"]
        assert output["dest"].startswith(str(definition / "out" / "demo"))
    # With the override written to where the command names it, the command is what a build runs.
    override = build["override"]
    assert override["file"] == build["command"][8]
    assert json.loads(override["text"])["variable"]["MAX_JOBS"]


def test_print_leaves_nothing_behind(definition: Path) -> None:
    before = sorted(definition.rglob("*"))
    assert smforge("build", "--print", "demo", cwd=definition).returncode == 0
    assert sorted(definition.rglob("*")) == before


@pytest.mark.slow
def test_every_target_of_every_variant_is_in_the_definition(definition: Path) -> None:
    variants = json.loads((definition / "versions.json").read_text())["variants"]
    done = smforge("build", "--print", *variants, cwd=definition)
    assert done.returncode == 0, done.stderr
    builds = json.loads(done.stdout)["builds"]
    assert {build["variant"] for build in builds} == set(variants)
    for build in builds:
        asked = build["definition"]["group"]["default"]["targets"]
        assert set(asked) <= set(build["definition"]["target"])


def test_no_engine_exits_5_with_one_line(definition: Path, tmp_path: Path) -> None:
    socket = f"unix://{tmp_path}/none.sock"
    done = smforge("build", "demo", cwd=definition, DOCKER_HOST=socket)
    assert done.returncode == 5
    first, *rest = done.stderr.splitlines()
    assert first.startswith(f"smforge: No Docker Engine answers on {socket}.")
    assert "tools/engine start" in first
    assert rest == []
    assert not (definition / "out" / "demo" / "linux-amd64").exists()


def test_an_unknown_variant_exits_2(definition: Path) -> None:
    done = smforge("build", "demmo", cwd=definition)
    assert done.returncode == 2
    assert "demmo" in one_line(done)


def test_a_platform_that_no_variant_has_exits_2(definition: Path) -> None:
    done = smforge("build", "demo", "--platform", "linux/riscv64", cwd=definition)
    assert done.returncode == 2
    assert "linux/riscv64" in one_line(done)


def test_a_matrix_without_a_definition_beside_it_says_so(tmp_path: Path) -> None:
    shutil.copy(ROOT / "versions.json", tmp_path)
    done = smforge("build", "--print", cwd=tmp_path)
    assert done.returncode == 2
    assert "docker-bake.hcl" in one_line(done)


@pytest.mark.engine
def test_an_output_directory_that_cannot_be_written_exits_5(definition: Path) -> None:
    done = smforge("build", "demo", "--out", "/proc/smforge", cwd=definition)
    assert done.returncode == 5
    assert "/proc/smforge" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.engine
def test_json_of_a_failed_build_holds_its_record_and_its_reason(
    engine: str, definition: Path
) -> None:
    (definition / "docker-bake.hcl").write_text(
        'variable "OUT_DIR" { default = "out" }\n'
        + "".join(
            f'target "{name}" {{\n  dockerfile-inline = "FROM scratch\\nCOPY absent /"\n}}\n'
            for name in (
                "base",
                "flashinfer-sm110a",
                "flashinfer-sm120f",
                "flashinfer-sm121a",
                "flashinfer-shim",
            )
        )
    )
    done = smforge("build", "demo", "--preflight", "off", "-o", "json", cwd=definition)
    assert done.returncode == 5
    (build,) = json.loads(done.stdout)["builds"]
    assert build["result"] == "failed"
    assert build["record"]["result"] == "failed"
    assert build["error"] in done.stderr
    assert "/absent" in build["error"]
