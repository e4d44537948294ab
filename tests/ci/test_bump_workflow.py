"""The workflow of docs/bump.md, taken from the page, and linted by the real linters."""

from __future__ import annotations

import json
import os
import re
import subprocess
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


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of a repository with a matrix, where ``gh`` only writes down what it is asked."""
    origin, clone = tmp_path / "origin.git", tmp_path / "clone"
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", str(origin))
    git(tmp_path, "clone", "--quiet", str(origin), str(clone))
    (clone / "versions.json").write_text("old\n")
    git(clone, "add", "versions.json")
    git(clone, "commit", "--quiet", "-m", "One")
    git(clone, "push", "--quiet", "origin", "HEAD:main")
    program = tmp_path / "bin" / "gh"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >>"{tmp_path}/asked"\n')
    program.chmod(0o755)
    return clone


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    command = ("git", "-C", str(folder), *who, *words)
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def propose(clone: Path) -> list[str]:
    """Run the step as GitHub does, and return what was asked of ``gh`` so far."""
    (step,) = (one for one in job()["steps"] if one.get("name") == "Propose")
    subprocess.run(
        ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]),
        cwd=clone,
        env={
            **os.environ,
            "PATH": f"{clone.parent / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "SOURCE": "vllm",
            "GH_TOKEN": "none",
        },
        check=True,
        capture_output=True,
    )
    asked = clone.parent / "asked"
    return asked.read_text().splitlines() if asked.exists() else []


def test_what_changes_is_proposed_once(clone: Path) -> None:
    (clone / "bump.txt").write_text("What changes.\n")
    assert propose(clone) == []  # nothing to propose
    (clone / "versions.json").write_text("new\n")
    asked = propose(clone)
    assert asked[-1].startswith("pr create --title Take the new vllm --body-file body.md --head")
    branch = asked[-1].split()[-1]
    assert git(clone, "show", f"origin/{branch}:versions.json") == "new\n"
    assert git(clone, "ls-tree", "--name-only", f"origin/{branch}").split() == ["versions.json"]
    assert "What changes." in (clone / "body.md").read_text()
    git(clone, "switch", "--quiet", "--detach", "origin/main")
    (clone / "versions.json").write_text("new\n")
    assert [one for one in propose(clone) if one.startswith("pr")] == asked[-1:]
