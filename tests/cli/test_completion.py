"""Completion in a real bash: commands, flags, and the values of flags."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which bash finds this smforge as a program."""
    folder = tmp_path_factory.mktemp("bin")
    program = folder / "smforge"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m smforge "$@"\n')
    program.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}


def offered(shell: dict[str, str], line: str, folder: Path = CHECKOUT) -> list[str]:
    """What bash offers for the last word of a line."""
    words = [*line.split(" ")]
    program = (
        'eval "$(smforge completion bash)"\n'
        'COMP_WORDS=("$@"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n'
        "_smforge_completion smforge\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(
        ["bash", "-c", program, "bash", *words],
        capture_output=True,
        text=True,
        check=True,
        env=shell,
        cwd=folder,
    )
    # bash says that compopt works only while it completes; files are its own business.
    assert "Traceback" not in done.stderr
    return [one for one in done.stdout.splitlines() if one]


@pytest.mark.parametrize(
    ("line", "among"),
    [
        ("smforge ", {"audit", "diff", "build", "completion"}),
        ("smforge di", {"diff"}),
        ("smforge audit --fail", {"--fail-on"}),
        ("smforge audit --fail-on ", {"error", "warning", "never"}),
        ("smforge audit x.whl --require sp", {"spark"}),
        ("smforge audit x.whl --require 12", {"12.0", "12.1"}),
        ("smforge audit --variant cu130-s", {"cu130-spark"}),
        ("smforge plan cu130-s", {"cu130-spark"}),
        ("smforge explain kernels-m", {"kernels-missing"}),
        ("smforge audit -o sa", {"sarif"}),
        ("smforge build --platform linux/arm", {"linux/arm64"}),
        ("smforge completion z", {"zsh"}),
    ],
)
def test_bash_offers_values(shell: dict[str, str], line: str, among: set[str]) -> None:
    found = offered(shell, line)
    last = line.rpartition(" ")[2]
    assert among <= set(found)
    assert all(one.startswith(last) for one in found)


def test_a_matrix_that_cannot_be_read_offers_nothing(shell: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "versions.json").write_text("{")
    assert offered(shell, "smforge plan c", tmp_path) == []
    (tmp_path / "other.json").write_text('{"variants": {"mine": {"toolkit": "13.0"}}}')
    assert offered(shell, "smforge --config other.json plan m", tmp_path) == ["mine"]


def test_settings_that_are_wrong_do_not_break_it(shell: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.smforge]\nwrong = 1\n")
    assert offered(shell, "smforge report --fail", tmp_path) == ["--fail-on"]
    assert offered(shell, "smforge au", tmp_path) == ["audit"]


@pytest.mark.parametrize("name", ["zsh", "fish"])
def test_other_shells_get_a_script_that_asks_smforge(shell: dict[str, str], name: str) -> None:
    command = ["smforge", "completion", name]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=shell)
    assert f"_SMFORGE_COMPLETE={name}_complete" in done.stdout
