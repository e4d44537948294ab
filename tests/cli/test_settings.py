"""Flags from variables and from pyproject.toml: which wins, and that no mistake is passed over."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """``run(argument, …, table=…, VARIABLE=…)`` in a folder below the one with the table."""
    folder = tmp_path / "project" / "below"
    folder.mkdir(parents=True)

    def run_there(
        *arguments: str, table: str = "", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        (folder.parent / "pyproject.toml").write_text(table)
        return subprocess.run(
            [sys.executable, "-m", "smforge", *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            env={**os.environ, **variables},
        )

    return run_there


def required(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert done.returncode == 3, done.stderr  # /bin/true has no GPU code.
    return list(json.loads(done.stdout)["question"]["requirements"])


AUDIT = ("audit", "/bin/true", "-o", "json")
TABLE = '[tool.smforge.audit]\nrequire = ["12.1", "11.0"]\n'


def test_a_flag_wins_over_a_variable_and_that_over_the_file(run: Run) -> None:
    assert required(run(*AUDIT)) == []
    assert required(run(*AUDIT, table=TABLE)) == ["12.1", "11.0"]
    variable = {"SMFORGE_AUDIT_REQUIRE": "9.0 10.0"}
    assert required(run(*AUDIT, table=TABLE, **variable)) == ["9.0", "10.0"]
    assert required(run(*AUDIT, "--require", "8.0", table=TABLE, **variable)) == ["8.0"]


def test_it_is_said_what_came_from_elsewhere(run: Run) -> None:
    told = run(*AUDIT, table=TABLE, SMFORGE_AUDIT_DRIVER="580.95.05").stderr
    assert "--require from " in told
    assert "project/pyproject.toml" in told
    assert "--driver from SMFORGE_AUDIT_DRIVER" in told
    assert "from" not in run(*AUDIT, "-q", table=TABLE).stderr
    assert "from" not in run(*AUDIT, "--require", "9.0", table=TABLE).stderr


def test_the_nearest_file_with_a_table_counts(run: Run, tmp_path: Path) -> None:
    (tmp_path / "project" / "below" / "pyproject.toml").write_text('[project]\nname = "smforge"\n')
    assert required(run(*AUDIT, table=TABLE)) == ["12.1", "11.0"]
    (tmp_path / "project" / "below" / "pyproject.toml").write_text(
        '[tool]\nsmforge.audit.require = "8.0"\n'
    )
    assert required(run(*AUDIT, table=TABLE)) == ["8.0"]


def test_paths_of_the_file_are_meant_from_its_folder(run: Run, tmp_path: Path) -> None:
    (tmp_path / "project" / "gate.toml").write_text('require = ["10.3"]\n')
    assert required(run(*AUDIT, table='[tool.smforge.audit]\npolicy = "gate.toml"\n')) == ["10.3"]
    done = run("plan", table='[tool.smforge]\nconfig = "none.json"\n')
    assert str(tmp_path / "project" / "none.json") in done.stderr
    done = run("--config", "given.json", "plan", SMFORGE_CONFIG="none.json")
    assert "given.json" in done.stderr


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('[tool.smforge.audit]\nrequires = "9.0"', "Did you mean require?"),
        ('[tool.smforge.adit]\nrequire = "9.0"', "Did you mean audit?"),
        ('[tool.smforge]\nrequire = "9.0"', "table of its command"),
        ("[tool.smforge]\nqiet = true", "Did you mean quiet?"),
        ("[tool.smforge.audit]\nnative = 1", "must be true or false"),
        ("[tool.smforge.audit]\nrequire = true", "must be a text or a list of texts"),
        ('[tool.smforge.audit]\nrequire = ["9.0", ""]', "not empty"),
        ('[tool.smforge.audit]\ndriver = ["580.95.05"]', "takes one value"),
        ("[tool.smforge.audit]\nprobe = true", "Give --probe on the command line."),
        ('[tool.smforge.audit]\nfail-on = "sometimes"', "'sometimes'"),
        ("[tool.smforge\n", "no valid TOML"),
        ("[tool]\nsmforge = 3\n", "must be a table"),
    ],
)
def test_a_mistake_in_the_file_is_an_error(run: Run, table: str, said: str) -> None:
    done = run(*AUDIT, table=table)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SMFORGE_AUDIT_REQURE", "9.0", "Did you mean SMFORGE_AUDIT_REQUIRE?"),
        ("SMFORGE_AUDIT_REQUIRE", "", "is set and empty"),
        ("SMFORGE_AUDIT_NATIVE", "perhaps", "perhaps"),
    ],
)
def test_a_mistake_in_a_variable_is_an_error(run: Run, name: str, value: str, said: str) -> None:
    done = run(*AUDIT, **{name: value})
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_a_file_that_is_not_about_smforge_is_not_parsed(run: Run) -> None:
    assert required(run(*AUDIT, table='[tool.other]\nname = "smforge"\n= broken\n')) == []
