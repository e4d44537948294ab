"""The workflow of docs/bump.md, taken from the page, and linted by the real linters."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from smforge.plan import records
from smforge.workflow.bumping.proposal import kinds
from tests.ci.conftest import ROOT, Linter, check_schema, zizmor

PAGE = (ROOT / "docs" / "bump.md").read_text()
(BLOCK,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def workflow(tmp_path: Path) -> Callable[..., Path]:
    """Writes it where GitHub reads it, with a word replaced."""

    def write(old: str = "", new: str = "") -> Path:
        file = tmp_path / ".github" / "workflows" / "bump.yml"
        file.parent.mkdir(parents=True, exist_ok=True)
        assert old in BLOCK
        file.write_text(BLOCK.replace(old, new) if old else BLOCK)
        return file

    return write


def job() -> dict[str, Any]:
    (found,) = yaml.safe_load(BLOCK)["jobs"].values()
    return dict(found)


def test_the_schema_accepts_it(workflow: Callable[..., Path]) -> None:
    done = check_schema("github-workflows", workflow())
    assert done.returncode == 0, done.stdout
    assert check_schema("github-workflows", workflow("runs-on", "run-on")).returncode != 0


def test_nothing_unsafe_is_in_it(workflow: Callable[..., Path]) -> None:
    done = zizmor(workflow())
    assert (done.returncode, "No findings to report" in done.stdout) == (0, True), done.stdout
    assert zizmor(workflow("persist-credentials: false", "fetch-depth: 1")).returncode != 0


@pytest.mark.network
def test_actionlint_finds_nothing_in_it(workflow: Callable[..., Path], actionlint: Linter) -> None:
    done = actionlint(workflow())
    assert (done.returncode, done.stdout) == (0, ""), done.stdout
    assert actionlint(workflow("${{ matrix", "${{ unknown")).returncode != 0


def test_its_actions_are_those_of_the_pipelines() -> None:
    table = json.loads((Path(records.__file__).parent / "data" / "pipelines.json").read_text())
    pinned = {one["uses"] for one in table["actions"].values()}
    used = {step["uses"] for step in job()["steps"] if "uses" in step}
    assert used
    assert used <= pinned


def test_it_bumps_what_can_be_bumped() -> None:
    assert set(job()["strategy"]["matrix"]["source"]) < set(kinds())
