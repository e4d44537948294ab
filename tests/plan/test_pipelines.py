"""The CI jobs: one per cell, in pipelines that the systems' own schemas and a linter accept."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from smforge.matrix.load import Matrix
from smforge.plan import records
from smforge.plan.jobs import jobs, jobs_document
from smforge.plan.pipelines import buildkite, github
from smforge.plan.records import Plan
from smforge.plan.resolve import resolve

ROOT = Path(__file__).parents[2]
PIPELINES = ROOT / "pipelines"
SCHEMAS = {"github": "vendor.github-workflows", "buildkite": "vendor.buildkite"}


@pytest.fixture(scope="session")
def plan(matrix: Matrix) -> Plan:
    return resolve(matrix)


def check_schema(name: str, file: Path) -> subprocess.CompletedProcess[str]:
    """Hold a pipeline against the schema that check-jsonschema carries; nothing is fetched."""
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        SCHEMAS[name],
        file,
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def zizmor(file: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "zizmor"
    command: list[str | Path] = [
        program,
        "--offline",
        "--no-progress",
        "--no-config",
        "--no-online-audits",
        file,
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_one_job_per_cell_behind_what_it_needs(plan: Plan) -> None:
    every = jobs(plan)
    assert [job.key for job in every[1:]] == [cell.name for cell in plan.cells]
    for index, job in enumerate(every):
        assert set(job.needs) <= {earlier.key for earlier in every[:index]}
    assert all(job.needs == ("plan",) for job in every[1:])
    for job, cell in zip(every[1:], plan.cells, strict=True):
        assert job.platform == cell.platform
        assert job.targets == cell.targets
        assert f"build {cell.variant} --platform {cell.platform}" in job.commands[-1]


def test_the_jobs_as_json_have_the_published_shape(plan: Plan) -> None:
    schema = json.loads((Path(records.__file__).parent / "data" / "jobs.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(jobs_document(plan))


@pytest.mark.parametrize(("name", "make"), [("github", github), ("buildkite", buildkite)])
def test_the_pipelines_are_those_of_the_matrix(plan: Plan, name: str, make: Any) -> None:
    file = PIPELINES / f"{name}.yml"
    assert file.read_text() == make(plan), f"run smforge matrix --format {name}={file}"


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_system_s_schema_accepts_the_pipeline(name: str) -> None:
    done = check_schema(name, PIPELINES / f"{name}.yml")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("github", "runs-on:", "runs_on:"),
        ("buildkite", "depends_on:", "depends-on:\n   - x\n    y:"),
    ],
)
def test_the_schema_would_say_so(tmp_path: Path, name: str, old: str, new: str) -> None:
    file = tmp_path / "p.yml"
    file.write_text((PIPELINES / f"{name}.yml").read_text().replace(old, new))
    assert check_schema(name, file).returncode != 0


def test_the_linter_finds_nothing_in_the_workflow() -> None:
    done = zizmor(PIPELINES / "github.yml")
    assert done.returncode == 0, done.stdout
    assert "No findings to report" in done.stdout


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("persist-credentials: false", "fetch-depth: 1"),
        ("@11bd71901bbe5b1630ceea73d27597364c9af683", "@v4"),
        ("contents: read", "contents: write"),
    ],
)
def test_the_linter_would_say_so(tmp_path: Path, old: str, new: str) -> None:
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    file = folder / "p.yml"
    text = (PIPELINES / "github.yml").read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    assert zizmor(file).returncode != 0


def test_the_verdict_waits_for_every_job_and_fails_with_any(plan: Plan) -> None:
    document = yaml.safe_load(github(plan))
    verdict = document["jobs"]["verdict"]
    assert set(verdict["needs"]) == {job.key for job in jobs(plan)}
    assert verdict["if"] == "always()"
    script = verdict["steps"][0]["run"]
    for results, passes in [
        ("success success", True),
        ("success failure", False),
        ("skipped success", False),
        ("cancelled", False),
    ]:
        # As GitHub starts bash: -e.
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            env={"RESULTS": results},
            check=False,
        )
        assert (done.returncode == 0) is passes


def test_buildkite_leaves_the_shell_its_dollar_signs(plan: Plan) -> None:
    document = yaml.safe_load(buildkite(plan))
    for step in document["steps"]:
        assert "$" not in step["command"].replace("$$", "")
    assert 'eval "$$(tools/engine env)"' in document["steps"][1]["command"]


def test_the_engine_s_environment_reaches_the_build(plan: Plan) -> None:
    """Each line of a job runs in one shell, in this order."""
    for step in yaml.safe_load(github(plan))["jobs"]["demo-linux-amd64"]["steps"]:
        if step.get("name") == "Build":
            assert [line.split()[0] for line in step["run"].splitlines()] == [
                "tools/engine",
                "eval",
                ".venv/bin/smforge",
            ]
            break
    else:
        pytest.fail("the job has no step that builds")


def test_matrix_as_a_command(tmp_path: Path) -> None:
    file = tmp_path / "p.yml"
    command = [sys.executable, "-m", "smforge", "matrix", "demo", "--format"]
    done = subprocess.run(
        [*command, f"github={file}", "-o", "json"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    keys = [job["key"] for job in json.loads(done.stdout)["jobs"]]
    assert keys == ["plan", "demo-linux-amd64"]
    assert list(yaml.safe_load(file.read_text())["jobs"]) == [*keys, "verdict"]
    refused = subprocess.run(
        [*command, "gitlab"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert refused.returncode == 2
    assert "'gitlab' is not one of github, buildkite, json." in refused.stderr


def test_jobs_of_another_matrix_use_it(plan: Plan) -> None:
    for job in jobs(plan, "ci/my matrix.json"):
        ours = [one for one in job.commands if "smforge" in one]
        assert ours
        assert all(" --config 'ci/my matrix.json' " in one for one in ours)
    assert "--config" not in "".join(one for job in jobs(plan) for one in job.commands)
    assert " from w.json; change that" in github(plan, "w.json").splitlines()[0]
    assert "build --config w.json demo" in buildkite(plan, "w.json")


@pytest.mark.parametrize("place", ["before", "after"])
def test_the_command_names_the_matrix_that_it_was_given(tmp_path: Path, place: str) -> None:
    (tmp_path / "ci").mkdir()
    (tmp_path / "ci" / "w.json").write_text((ROOT / "versions.json").read_text())
    config = ("--config", str(tmp_path / "ci" / "w.json"))
    words = (*config, "matrix") if place == "before" else ("matrix", *config)
    command = (sys.executable, "-m", "smforge", *words, "demo")
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "build --config ci/w.json demo --platform linux/amd64" in done.stdout
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path / "ci" / "..", check=False
    )
    assert done.returncode == 0
    (tmp_path / "elsewhere").mkdir()
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path / "elsewhere", check=False
    )
    assert done.returncode == 2
    assert "is outside of this directory, so the jobs would not have it" in done.stderr
