"""The CI jobs: one per cell, in pipelines that the systems' own schemas and a linter accept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from smforge.errors import UsageError
from smforge.matrix.load import Matrix
from smforge.plan import records
from smforge.plan.choices import Choices, Runner, WheelIndex, runner_labels
from smforge.plan.jobs import jobs, jobs_document
from smforge.plan.pipelines import buildkite, github, overview
from smforge.plan.records import Plan
from smforge.plan.resolve import resolve
from tests.ci.conftest import actionlint, ci_tools

__all__ = ["actionlint", "ci_tools"]

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
        ("@3d3c42e5aac5ba805825da76410c181273ba90b1", "@v7"),
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
        assert "$" not in step.get("command", "").replace("$$", "")
    assert 'eval "$$(tools/engine env)"' in document["steps"][1]["command"]


def test_the_engine_s_environment_reaches_the_build(plan: Plan) -> None:
    """Each line of a job runs in one shell, in this order."""
    for step in yaml.safe_load(github(plan))["jobs"]["demo-linux-amd64"]["steps"]:
        if step.get("name") == "Build":
            assert [line.split()[0] for line in step["run"].splitlines()] == [
                "tools/engine",
                "eval",
                "mkdir",
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
    assert list(yaml.safe_load(file.read_text())["jobs"]) == [*keys, "verdict", "index"]
    refused = subprocess.run(
        [*command, "gitlab"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert refused.returncode == 2
    assert "'gitlab' is not one of github, buildkite, json, markdown" in refused.stderr


def test_jobs_of_another_matrix_use_it(plan: Plan) -> None:
    for job in jobs(plan, Choices("ci/my matrix.json")):
        ours = [one for one in job.commands if "smforge" in one]
        assert ours
        assert all(" --config 'ci/my matrix.json' " in one for one in ours)
    assert "--config" not in "".join(one for job in jobs(plan) for one in job.commands)
    assert " from w.json; change that" in github(plan, Choices("w.json")).splitlines()[0]
    assert "build --config w.json demo" in buildkite(plan, Choices("w.json"))


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


def of_github(plan: Plan, choices: Choices = Choices()) -> dict[str, Any]:  # noqa: B008 - frozen
    found: dict[str, Any] = yaml.safe_load(github(plan, choices))["jobs"]
    return found


def steps_of(job: dict[str, Any], uses: str) -> list[dict[str, Any]]:
    return [step for step in job["steps"] if step.get("uses", "").startswith(f"{uses}@")]


def test_every_cell_shows_its_reports(plan: Plan) -> None:
    documents = of_github(plan)
    for job in jobs(plan)[1:]:
        steps = {step.get("name"): step for step in documents[job.key]["steps"]}
        assert f"-o {job.summary} " in job.commands[-1]
        assert f"-o {job.sarif} " in job.commands[-1]
        assert steps["Sum up"]["run"] == f'cat {job.summary} >> "$GITHUB_STEP_SUMMARY"'
        assert steps["Sum up"]["if"].startswith("!cancelled() && hashFiles(")
        assert "vars.CODE_SCANNING == 'true'" in steps["Show the findings"]["if"]
        assert f"{job.summary.rpartition('/')[0]}/**" in steps["Keep"]["with"]["path"]


def test_only_what_writes_may_write(plan: Plan) -> None:
    may = {
        name: {key for key, value in (job.get("permissions") or {}).items() if value == "write"}
        for name, job in of_github(plan, Choices(index=WheelIndex.PAGES)).items()
    }
    cells = {cell.name for cell in plan.cells}
    assert may == {
        "plan": set(),
        **{cell: {"security-events"} for cell in cells},
        "verdict": set(),
        "index": set(),
        "pages": {"pages", "id-token"},
        "publish": {"packages"},
    }


def test_images_are_pushed_after_every_cell_and_by_a_tag_alone(plan: Plan) -> None:
    publish = of_github(plan)["publish"]
    assert publish["needs"] == ["verdict"]
    assert publish["environment"] == "images"
    assert "startsWith(github.ref, 'refs/tags/')" in publish["if"]
    fetched = {step["with"]["name"]: step["with"]["path"] for step in steps_of(publish, DOWNLOAD)}
    for job, cell in zip(jobs(plan)[1:], plan.cells, strict=True):
        assert (job.image is None) is (cell.image is None)
        assert (f"{job.key}-image" in fetched) is (job.image is not None)
        if job.image:
            assert fetched[f"{job.key}-image"] == job.image
            assert fetched[job.key] == f"out/{cell.variant}"


DOWNLOAD = "actions/download-artifact"
UPLOAD = "actions/upload-artifact"


def test_what_is_kept_comes_back_to_its_place(plan: Plan) -> None:
    """An artefact has the paths below what all its patterns share, so that is where it goes."""
    documents = of_github(plan)
    kept = {
        step["with"]["name"]: step["with"]["path"].splitlines()
        for job in documents.values()
        for step in steps_of(job, UPLOAD)
    }
    fetched = [step["with"] for job in documents.values() for step in steps_of(job, DOWNLOAD)]
    assert fetched
    for one in fetched:
        patterns = kept[one["name"]]
        parts = [pattern.removeprefix("!").removesuffix("/**").split("/") for pattern in patterns]
        shared = [column[0] for column in zip(*parts, strict=False) if len({*column}) == 1]
        assert "/".join(shared) == one["path"]


def test_a_matrix_without_images_pushes_none(matrix: Matrix) -> None:
    demo = resolve(matrix, ("demo",))
    assert list(of_github(demo)) == ["plan", "demo-linux-amd64", "verdict", "index"]
    none = Choices(index=WheelIndex.NONE)
    assert list(of_github(demo, none)) == ["plan", "demo-linux-amd64", "verdict"]
    pages = of_github(demo, Choices(index=WheelIndex.PAGES))
    assert list(pages) == ["plan", "demo-linux-amd64", "verdict", "index", "pages"]
    assert steps_of(pages["index"], "actions/upload-pages-artifact")
    steps = yaml.safe_load(buildkite(demo, none))["steps"]
    assert [step["key"] for step in steps] == ["plan", "demo-linux-amd64"]


def test_labels_of_runners_are_chosen(plan: Plan) -> None:
    texts = ("linux/amd64=ours", "large:linux/arm64=self-hosted,thor")
    choices = Choices(runners=tuple(map(runner_labels, texts)))
    documents = of_github(plan, choices)
    for job in jobs(plan)[1:]:
        chosen = documents[job.key]["runs-on"]
        if job.platform == "linux/amd64":
            assert chosen == "ours"
        elif job.runner is Runner.LARGE:
            assert chosen == ["self-hosted", "thor"]
        else:
            assert chosen == "ubuntu-24.04-arm"
    assert documents["verdict"]["runs-on"] == documents["plan"]["runs-on"] == "ours"
    line = github(plan, choices).splitlines()[0]
    assert "--runner linux/amd64=ours --runner large:linux/arm64=self-hosted,thor" in line
    # The plan's job makes its overview with the same labels.
    assert "--runner linux/amd64=ours" in documents["plan"]["steps"][-3]["run"]


@pytest.mark.parametrize(
    "text", ["ours", "linux/amd64=", "linux/arm64=,", "windows/amd64=x", "huge:linux/amd64=x", "=x"]
)
def test_labels_that_name_nothing_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        runner_labels(text)


def test_cells_that_need_larger_machines_are_named(plan: Plan, matrix: Matrix) -> None:
    text = overview(plan)
    last = text.splitlines()[-1]
    for job in jobs(plan)[1:]:
        assert f"| {job.label} | {job.runner} |" in text
        assert (job.label in last) is (job.runner is Runner.LARGE)
    assert "Every cell fits" in overview(resolve(matrix, ("demo",)))


def test_buildkite_shows_summaries_and_pushes_behind_a_block(plan: Plan) -> None:
    steps = {step["key"]: step for step in yaml.safe_load(buildkite(plan))["steps"]}
    for job in jobs(plan):
        note = f"buildkite-agent annotate --context {job.key} < {job.summary}"
        assert note in steps[job.key]["command"]
    assert steps["publish"]["depends_on"] == ["release"]
    assert set(steps["release"]["depends_on"]) == {job.key for job in jobs(plan)}
    assert steps["release"]["if"] == steps["publish"]["if"]


@pytest.mark.parametrize("code", [0, 3])
@pytest.mark.parametrize("written", [True, False])
def test_a_summary_is_shown_after_a_failed_job_too(
    plan: Plan, tmp_path: Path, code: int, written: bool
) -> None:
    """The command of a step with programs that only note what they were given."""
    job = jobs(plan)[1]
    step = yaml.safe_load(buildkite(plan))["steps"][1]
    programs = tmp_path / "bin"
    programs.mkdir()
    (tmp_path / "tools").mkdir()
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    write = f"mkdir -p {Path(job.summary).parent}; echo said > {job.summary};" if written else ""
    for path, script in {
        programs / "make": "",
        tmp_path / "tools" / "engine": "",
        tmp_path / ".venv" / "bin" / "smforge": f"{write} exit {code}",
        programs / "buildkite-agent": 'echo "$@" > agent; cat >> agent',
    }.items():
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    done = subprocess.run(
        # As the agent starts it; it has made one dollar sign of two when it read the pipeline.
        ("/bin/bash", "-e", "-c", step["command"].replace("$$", "$")),
        cwd=tmp_path,
        env={"PATH": f"{programs}:{os.environ['PATH']}"},
        check=False,
    )
    assert done.returncode == code
    said = f"annotate --context {job.key}\nsaid\n"
    assert (tmp_path / "agent").exists() is written
    assert not written or (tmp_path / "agent").read_text() == said


STORE = "registry:registry.example/team/cells"


def test_cells_that_compile_the_same_wait_for_each_other_and_run_also_after_a_failure(
    plan: Plan,
) -> None:
    cell, first = plan.cells[-1].name, plan.cells[0].name
    choices = Choices(after={cell: (first,)})
    documents = of_github(plan, choices)
    assert documents[cell]["needs"] == ["plan", first]
    assert documents[cell]["if"] == "!cancelled() && needs.plan.result == 'success'"
    assert documents[first]["needs"] == ["plan"]
    assert "if" not in documents[first]
    steps = {step["key"]: step for step in yaml.safe_load(buildkite(plan, choices))["steps"]}
    assert steps[cell]["depends_on"] == ["plan", {"step": first, "allow_failure": True}]
    job = next(one for one in jobs_document(plan, choices)["jobs"] if one["key"] == cell)
    assert (job["needs"], job["after"]) == (["plan"], [first])
    assert f"waits for {first}: what both compile" in overview(plan, choices)
    assert "waits for" not in overview(plan)


def test_with_a_store_jobs_hand_over_through_it_alone(plan: Plan) -> None:
    choices = Choices(selection=("cu130-rtx",), store=STORE)
    documents = of_github(plan, choices)
    for cell in plan.cells:
        job = documents[cell.name]
        (build,) = [step["run"] for step in job["steps"] if step.get("name") == "Build"]
        assert f" --store {STORE} --reuse {STORE} " in build
        (kept,) = steps_of(job, UPLOAD)
        folder = f"out/{cell.variant}"
        names = ("rejected", "logs", "reports")
        slug = cell.platform.replace("/", "-")
        wanted = [f"{folder}/{name}/{slug}/**" for name in names]
        assert kept["with"]["path"].splitlines() == wanted
        (login,) = steps_of(job, "docker/login-action")
        assert login["with"]["registry"] == "registry.example"
        assert job["permissions"]["packages"] == "write"
    only = "".join(f" --only {cell.name}" for cell in plan.cells)
    taken = f"merge {STORE}{only} -o out"
    assert [step["run"].partition("smforge ")[2] for step in documents["index"]["steps"][3:5]] == [
        taken, "index out --to whl",
    ]  # fmt: skip
    assert documents["index"]["permissions"] == {"contents": "read", "packages": "read"}
    with_images = "".join(f" --only {cell.name}" for cell in plan.cells if cell.image)
    publish = [step.get("run", "") for step in documents["publish"]["steps"]]
    assert sum(f"merge {STORE}{with_images} -o out" in run for run in publish) == 1
    assert not any(steps_of(job, DOWNLOAD) for job in documents.values())
    steps = {step["key"]: step for step in yaml.safe_load(buildkite(plan, choices))["steps"]}
    assert f"{taken}\n" in steps["index"]["command"]
    assert "artifact download" not in steps["index"]["command"] + steps["publish"]["command"]


def test_a_store_in_a_folder_needs_no_login(plan: Plan) -> None:
    documents = of_github(plan, Choices(store="/mnt/cells"))
    cell = documents[plan.cells[0].name]
    assert not steps_of(cell, "docker/login-action")
    assert "packages" not in cell["permissions"]
    assert "permissions" not in documents["index"]
    index = [step.get("run", "") for step in documents["index"]["steps"]]
    assert ".venv/bin/smforge merge /mnt/cells -o out" in index


def test_the_matrix_command_says_how_it_was_called(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "smforge", "matrix", "--store")
    flags = ("--shared-cache", "--format")
    done = subprocess.run(
        (*command, STORE, *flags, "github"), capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert f"`smforge matrix --format github --store {STORE} --shared-cache`" in done.stdout
    needs = yaml.safe_load(done.stdout)["jobs"]["cu130-linux-arm64"]["needs"]
    assert needs == ["plan", "cu130-thor-linux-arm64"]
    refused = subprocess.run(
        (*command, "registry:", *flags, "json"),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert refused.returncode == 2, refused.stderr


@pytest.mark.network
@pytest.mark.parametrize("index", list(WheelIndex))
def test_actionlint_and_zizmor_accept_every_choice(
    plan: Plan, tmp_path: Path, actionlint: Any, index: WheelIndex
) -> None:
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    for name, runners in (("ours", ("linux/arm64=larger-runner",)), ("plain", ())):
        file = folder / f"{name}.yml"
        labels = tuple(map(runner_labels, runners))
        after = {plan.cells[-1].name: (plan.cells[0].name,)}
        more = (STORE, after) if runners else ()
        file.write_text(github(plan, Choices(None, labels, index, (), *more)))
        done = actionlint(file)
        assert (done.returncode, done.stdout) == (0, ""), done.stdout
        done = zizmor(file)
        assert "No findings to report" in done.stdout, done.stdout
        assert check_schema("github", file).returncode == 0
