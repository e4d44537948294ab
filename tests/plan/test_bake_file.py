"""The plan and docker-bake.hcl agree on the names of variables and targets."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from smforge.matrix.load import Matrix
from smforge.plan.records import Cell
from smforge.plan.resolve import resolve

ROOT = Path(__file__).parents[2]
BAKE_FILE = ROOT / "docker-bake.hcl"
_VARIABLE = re.compile(r'^variable "(\w+)"', re.MULTILINE)


def bake(*arguments: str, variables: dict[str, str] | None = None) -> dict[str, Any]:
    """What `docker buildx bake` makes of the files; it needs the client, no engine."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in _VARIABLE.findall(BAKE_FILE.read_text())
    } | (variables or {})
    command = ["docker", "buildx", "bake", "-f", "docker-bake.hcl", "-f", "versions.json"]
    shell = 'eval "$(tools/engine env)" && exec "$@"'
    done = subprocess.run(
        ["bash", "-c", shell, "bash", *command, *arguments, "--print"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    content: dict[str, Any] = json.loads(done.stdout)
    return content


def test_every_variable_of_the_plan_is_declared(matrix: Matrix) -> None:
    declared = set(_VARIABLE.findall(BAKE_FILE.read_text()))
    for cell in resolve(matrix).cells:
        assert set(cell.variables) <= declared


@pytest.mark.engine
def test_a_bare_bake_builds_the_default_variant(matrix: Matrix) -> None:
    (cell,) = resolve(matrix, [matrix.document.default]).cells
    definition = bake(*cell.targets)
    assert set(cell.targets) <= set(definition["target"])


@pytest.mark.engine
def test_every_cell_s_targets_exist(matrix: Matrix) -> None:
    def missing(cell: Cell) -> set[str]:
        return set(cell.targets) - set(
            bake(*cell.targets, variables=dict(cell.variables))["target"]
        )

    assert {cell.name: missing(cell) for cell in resolve(matrix).cells} == {
        cell.name: set() for cell in resolve(matrix).cells
    }


@pytest.mark.engine
@pytest.mark.parametrize(("build", "checked"), [("", "cu135"), ("cu132", "cu132")])
def test_torch_is_held_to_the_build_that_the_toolkit_names(build: str, checked: str) -> None:
    """Only the stage of torch asks for the other build; what is made has the toolkit's tag."""
    variables = {"CUDA_TAG": "cu135", "TORCH_BUILD": build, "FLASHINFER_ARCHS": "12.1a"}
    targets = bake("torch", "flashinfer-sm121a", variables=variables)["target"]
    assert targets["torch"]["args"]["CUDA_TAG"] == checked
    assert targets["flashinfer-sm121a"]["args"]["CUDA_TAG"] == "cu135"
