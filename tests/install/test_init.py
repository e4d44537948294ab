"""`smforge init`: the project that it lays out works without a checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from smforge.errors import UsageError
from smforge.matrix.load import load
from smforge.matrix.starter import starter
from smforge.plan.resolve import resolve
from smforge.workflow.project import PIPELINES, lay_out
from tests.install.conftest import ROOT, Installed

MATRIX = (ROOT / "versions.json").read_text()
VARIANTS = json.loads(MATRIX)["variants"]


def smforge(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "smforge", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_can_be_started_with(name: str, tmp_path: Path) -> None:
    lay_out(tmp_path / "new", [name])
    matrix = load(tmp_path / "new" / "versions.json")
    assert list(matrix.document.variants) == [name]
    assert matrix.document.default == name
    # This checks the variable block too, which is that of the new default.
    assert {cell.variant for cell in resolve(matrix).cells} == {name}
    policies = VARIANTS[name].get("policies", [])
    assert all((tmp_path / "new" / policy).is_file() for policy in policies)


def test_a_starter_is_the_shipped_matrix_but_for_the_variants_left_out() -> None:
    made, whole = json.loads(starter(MATRIX, ["cu130-rtx", "demo"])), json.loads(MATRIX)
    assert list(made.pop("variants")) == ["cu130-rtx", "demo"]
    assert made.pop("default") == "cu130-rtx"
    assert made.pop("$schema") == "versions.schema.json"
    assert made == {key: whole[key] for key in made}


def test_a_variant_that_is_not_there_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no variant 'demmo'.* Did you mean demo\?"):
        lay_out(tmp_path / "new", ["demmo"])
    assert list(tmp_path.iterdir()) == []


def test_nothing_that_is_there_is_changed(tmp_path: Path) -> None:
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker" / "Dockerfile").write_text("FROM scratch\n")
    with pytest.raises(UsageError, match=r"already has docker\."):
        lay_out(tmp_path)
    assert files_of(tmp_path) == {"docker/Dockerfile": b"FROM scratch\n"}


def test_a_file_in_the_place_of_a_folder_is_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    (tmp_path / "tools").write_text("Ours.\n")
    with pytest.raises(UsageError, match=r"Cannot lay out a project in "):
        lay_out(tmp_path)
    assert files_of(tmp_path) == {"tools": b"Ours.\n"}


def test_a_link_that_leads_nowhere_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "versions.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(UsageError, match=r"already has versions\.json\."):
        lay_out(tmp_path)
    assert (tmp_path / "versions.json").is_symlink()


def test_a_folder_with_other_files_becomes_a_project(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("Ours.\n")
    assert smforge("init", ".", cwd=tmp_path).returncode == 0
    assert not list(tmp_path.glob(".smforge-init-*"))
    assert (tmp_path / "README.md").read_text() == "Ours.\n"
    assert smforge("plan", cwd=tmp_path).returncode == 0


def test_the_files_are_those_of_the_checkout(tmp_path: Path) -> None:
    lay_out(tmp_path / "new")
    tracked = subprocess.run(
        ("git", "ls-files", "-z", "docker", "docker-bake.hcl", "tools/engine"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    laid = files_of(tmp_path / "new")
    for name in filter(None, tracked):
        assert laid[name] == (ROOT / name).read_bytes(), name
        assert os.access(tmp_path / "new" / name, os.X_OK) == os.access(ROOT / name, os.X_OK), name


def test_pipelines_come_with_what_their_jobs_set_up_with(tmp_path: Path) -> None:
    done = smforge("init", "new", "--pipeline", "github", "--pipeline", "buildkite", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    new = tmp_path / "new"
    for file in PIPELINES.values():
        assert "make setup" in (new / file).read_text()
    dry = subprocess.run(
        ("make", "--dry-run", "setup"), cwd=new, capture_output=True, text=True, check=True
    )
    assert "pip install" in dry.stdout
    assert "smforge[build]==" in dry.stdout
    assert "tools/engine install" in dry.stdout


@pytest.mark.parametrize(
    "arguments",
    [("plan",), ("build",), ("build", "--print"), ("preflight", "demo"), ("matrix",)],
    ids=" ".join,
)
def test_a_command_without_a_project_names_init(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = smforge(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert f"There is no versions.json in {tmp_path}" in line
    assert "'smforge init DIR'" in line
    assert list(tmp_path.iterdir()) == []


def test_a_command_below_a_project_names_the_project(tmp_path: Path) -> None:
    (tmp_path / "versions.json").write_text(MATRIX)
    below = tmp_path / "docker" / "base"
    below.mkdir(parents=True)
    done = smforge("plan", cwd=below)
    assert done.returncode == 2
    assert f"there is one in {tmp_path}. Run this in {tmp_path}, or name it" in done.stderr


def test_a_matrix_alone_can_be_planned_and_a_build_names_init(tmp_path: Path) -> None:
    (tmp_path / "versions.json").write_text(MATRIX)
    assert smforge("plan", cwd=tmp_path).returncode == 0
    done = smforge("build", cwd=tmp_path)
    assert done.returncode == 2
    assert f"There is no docker-bake.hcl in {tmp_path}" in done.stderr
    assert "'smforge init DIR'" in done.stderr


def test_the_doctor_says_that_no_build_can_run_without_a_project(tmp_path: Path) -> None:
    done = smforge("doctor", "-o", "json", cwd=tmp_path)
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert document["can_build"] is False
    (project,) = [one for one in document["checks"] if one["id"] == "project"]
    assert project["state"] == "lacking"
    assert "smforge init" in project["remedy"]
    table = smforge("doctor", cwd=tmp_path).stdout
    assert "A build can run" not in table
    assert "A build cannot run: project" in table


def test_the_doctor_says_how_many_mistakes_a_matrix_has(tmp_path: Path) -> None:
    (tmp_path / "versions.json").write_text("{}")
    done = smforge("doctor", "-o", "json", cwd=tmp_path)
    (project,) = [one for one in json.loads(done.stdout)["checks"] if one["id"] == "project"]
    assert project["state"] == "lacking"
    assert "$.default: this is missing" in project["found"]
    assert "'smforge plan' lists them" in project["found"]


@pytest.mark.network
@pytest.mark.slow
def test_an_installed_smforge_lays_out_a_project_and_resolves_its_build(
    builder: Installed, tmp_path: Path
) -> None:
    names = [word for name in VARIANTS for word in ("--variant", name)]
    done = builder.run("init", "new", *names, "--pipeline", "github", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    new = tmp_path / "new"
    expected = tmp_path / "expected"
    lay_out(expected, list(VARIANTS), ["github"])
    assert files_of(new) == files_of(expected)
    assert os.access(new / "tools" / "engine", os.X_OK)
    assert os.access(new / "docker" / "base" / "fetch-source", os.X_OK)
    before = files_of(new)
    assert builder.run("plan", cwd=new).returncode == 0
    done = builder.run("build", "--print", *VARIANTS, cwd=new)
    assert done.returncode == 0, done.stderr
    assert files_of(new) == before
    for build in json.loads(done.stdout)["builds"]:
        for target in build["definition"]["target"].values():
            for name, place in target.get("contexts", {}).items():
                if name in {"probes", "smforge"}:
                    assert Path(place).is_dir()
                    assert Path(place).is_relative_to(builder.folder)


@pytest.mark.engine
@pytest.mark.network
@pytest.mark.slow
def test_an_installed_smforge_builds_what_it_has_laid_out(
    builder: Installed, tmp_path: Path
) -> None:
    """From the engine's cache, where the checkout's demo was built: the inputs are equal."""
    assert builder.run("init", "new", cwd=tmp_path).returncode == 0
    new = tmp_path / "new"
    done = builder.run("build", cwd=new)
    assert done.returncode == 0, done.stderr
    assert len(list((new / "out" / "demo" / "linux-amd64").rglob("*.whl"))) == 4
    folder = ("out/demo/linux-amd64", "--together", "--variant", "demo")
    assert builder.run("audit", *folder, cwd=new).returncode == 0
