"""The examples of docs/ci.md, taken from the page: linted, and what can run here is run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ci.conftest import ACTION, ROOT, Linter, check_schema, zizmor
from tests.ci.github_steps import Steps

PAGE = (ROOT / "docs" / "ci.md").read_text()
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
ANY_COMMIT = "0123456789abcdef0123456789abcdef01234567"
WORKFLOWS = {
    document["name"]: block
    for block in BLOCKS
    if "jobs" in (document := yaml.safe_load(block.replace("COMMIT", ANY_COMMIT)))
}
NAMES = ("wheel", "release", "image")
named = pytest.mark.parametrize("name", NAMES)


@pytest.fixture
def workflow(tmp_path: Path) -> Callable[..., Path]:
    """Writes an example where GitHub reads it, with a commit in place of the word."""

    def write(name: str, old: str = "COMMIT", new: str = ANY_COMMIT) -> Path:
        file = tmp_path / ".github" / "workflows" / f"{name}.yml"
        file.parent.mkdir(parents=True, exist_ok=True)
        assert old in WORKFLOWS[name]
        file.write_text(WORKFLOWS[name].replace(old, new).replace("COMMIT", ANY_COMMIT))
        return file

    return write


def steps_of(name: str) -> list[dict[str, Any]]:
    document = yaml.safe_load(WORKFLOWS[name])
    return [step for job in document["jobs"].values() for step in job["steps"]]


def test_the_page_has_these_examples() -> None:
    assert tuple(WORKFLOWS) == NAMES


@named
def test_the_schema_accepts_them(workflow: Callable[..., Path], name: str) -> None:
    done = check_schema("github-workflows", workflow(name))
    assert done.returncode == 0, done.stdout
    assert check_schema("github-workflows", workflow(name, "runs-on", "run-on")).returncode != 0


@named
def test_nothing_unsafe_is_in_them(workflow: Callable[..., Path], name: str) -> None:
    done = zizmor(workflow(name))
    assert (done.returncode, "No findings to report" in done.stdout) == (0, True), done.stdout
    assert zizmor(workflow(name, "smforge@COMMIT", "smforge@v1")).returncode != 0


@pytest.mark.network
@named
def test_actionlint_finds_nothing_in_them(
    workflow: Callable[..., Path], actionlint: Linter, name: str
) -> None:
    done = actionlint(workflow(name))
    assert (done.returncode, done.stdout) == (0, ""), done.stdout
    assert actionlint(workflow(name, "${{ ", "${{ unknown.")).returncode != 0


@named
def test_they_give_the_action_what_it_takes(name: str) -> None:
    uses = [step for step in steps_of(name) if "smforge@" in step.get("uses", "")]
    assert len(uses) == 1
    required = {key for key, one in ACTION["inputs"].items() if one.get("required")}
    assert required <= set(uses[0]["with"]) <= set(ACTION["inputs"])
    for output in re.findall(r"steps\.audit\.outputs\.([\w-]+)", WORKFLOWS[name]):
        assert output in ACTION["outputs"]


def test_the_page_names_every_input_and_output() -> None:
    for name in (*ACTION["inputs"], *ACTION["outputs"]):
        assert f"\n| `{name}` | " in PAGE


def test_results_are_uploaded_where_the_job_may() -> None:
    for text in WORKFLOWS.values():
        assert ("sarif: true" in text) == ("security-events: write" in text)


@pytest.mark.network
@pytest.mark.toolchain
def test_the_gate_compares_with_the_last_release(
    runner: Path, dist: Path, tmp_path: Path, compile_with: Callable[..., Path]
) -> None:
    (compare,) = (step for step in steps_of("release") if step.get("name") == "Compare")
    (smforge,) = runner.glob("temp/smforge*/bin/smforge")
    (wheel,) = dist.glob("dist/*.whl")
    values = {"steps.audit.outputs.smforge": str(smforge)}
    both = ("-gencode", "arch=compute_120f,code=sm_120f", "-gencode", "arch=compute_90,code=sm_90")
    kernel = 'extern "C" __global__ void normalise(float* a) { a[threadIdx.x] = 1; }'
    library = compile_with(kernel, "norm.so", "-shared", "-Xcompiler", "-fPIC", *both)
    for code, folder in ((0, "same"), (1, "wider")):
        workspace = tmp_path / folder
        (workspace / "last").mkdir(parents=True)
        shutil.copytree(dist / "dist", workspace / "dist")
        last = workspace / "last" / wheel.name
        shutil.copy(wheel, last)
        if folder == "wider":
            with zipfile.ZipFile(last, "w") as archive:
                archive.write(library, "norm/norm.so")
        steps = Steps(tmp_path / f"home-{folder}", workspace, values)
        steps.home.mkdir()
        assert steps.run(compare) == code, steps.said
        assert ("9.0" in steps.summary.read_text()) is (folder == "wider")


@pytest.mark.parametrize(
    ("listing", "code", "count", "said"),
    [
        ("echo 0", 0, "0", "This is the first release"),
        ("echo 1", 0, "1", ""),
        ("exit 1", 1, None, ""),
    ],
)
def test_only_a_first_release_is_not_compared(
    tmp_path: Path, listing: str, code: int, count: str | None, said: str
) -> None:
    """With a program in place of GitHub's, which needs an account."""
    (fetch,) = (step for step in steps_of("release") if step.get("id") == "last")
    (compare,) = (step for step in steps_of("release") if step.get("name") == "Compare")
    assert compare["if"] == "steps.last.outputs.count != '0'"
    gh = tmp_path / "bin" / "gh"
    gh.parent.mkdir()
    gh.write_text(f'#!/bin/sh\ncase "$2" in list) {listing};; *) echo "$@" > asked;; esac\n')
    gh.chmod(0o755)
    path = {"PATH": f"{gh.parent}:{os.environ['PATH']}"}
    values = {"github.token": "none"}
    steps = Steps(tmp_path / "home", tmp_path, values, environment=path)
    steps.home.mkdir()
    steps.summary.touch()
    assert steps.run(fetch) == code
    assert steps.values.get("steps.last.outputs.count") == count
    assert said in steps.summary.read_text()
    assert (tmp_path / "asked").exists() is (count == "1")


@pytest.mark.network
def test_the_hook_refuses_a_wrong_matrix(checkout: Path, ci_tools: Path, tmp_path: Path) -> None:
    """By pre-commit itself, which installs smforge from the commit into an environment."""
    identity = ("-c", "user.name=test", "-c", "user.email=test@example")
    source, project = tmp_path / "source", tmp_path / "project"
    shutil.copytree(checkout, source)
    (project / "deep").mkdir(parents=True)
    for repository in (source, project):
        subprocess.run(("git", "init", "-q"), cwd=repository, check=True)
        subprocess.run(("git", "add", "-A"), cwd=repository, check=True)
        commit = ("git", *identity, "commit", "-qm", "All", "--allow-empty")
        subprocess.run(commit, cwd=repository, check=True)
    environment = {
        **os.environ,
        "PYTHONPATH": str(ci_tools),
        "PRE_COMMIT_HOME": str(tmp_path / "home"),
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    good = (ROOT / "versions.json").read_text()
    bad = good.replace('"toolkit": "13.0"', '"toolkit": "13.7"', 1)
    assert bad != good
    command = (sys.executable, "-m", "pre_commit", "try-repo", source, "smforge-matrix", "-a")
    for text, says in ((good, "Passed"), (bad, "there is no toolkit '13.7'")):
        (project / "deep" / "versions.json").write_text(text)
        (project / "other.json").write_text("{")
        subprocess.run(("git", "add", "-A"), cwd=project, check=True)
        done = subprocess.run(
            command, cwd=project, env=environment, capture_output=True, text=True, check=False
        )
        assert (done.returncode == 0) is (text == good), done.stdout + done.stderr
        assert says in done.stdout


def test_buildkite_accepts_the_step_that_makes_the_pipeline(tmp_path: Path) -> None:
    (block,) = (one for one in BLOCKS if "buildkite-agent pipeline upload" in one)
    file = tmp_path / "pipeline.yml"
    file.write_text(block)
    assert check_schema("buildkite", file).returncode == 0


def test_an_action_has_one_pin_everywhere() -> None:
    """What is pinned in the table of the pipelines, in action.yml and in the pages."""
    table = json.loads((ROOT / "builder/smforge/plan/data/pipelines.json").read_text())["actions"]
    found = {(*one["uses"].split("@"), one["version"]) for one in table.values()}
    for file in (ROOT / "action.yml", *(ROOT / "docs").glob("*.md")):
        found |= set(re.findall(r"uses: ([\w/-]+)@(\w+)  # (v[\d.]+)", file.read_text()))
    assert {"actions/setup-python", "docker/login-action"} <= {name for name, *_ in found}
    assert len({name for name, *_ in found}) == len(found), sorted(found)
