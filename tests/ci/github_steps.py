"""Runs the `run` steps of a composite action or a job as a runner of GitHub Actions does.

Each script goes to a file and to a real bash with the runner's flags, with the files that
GITHUB_OUTPUT, GITHUB_STEP_SUMMARY and GITHUB_ENV name. An expression is looked up among the values
that the test gives; one that is not there is an error, not an empty text.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")
BASH = ("bash", "--noprofile", "--norc", "-eo", "pipefail")
PASSED_ON = (
    "PATH",
    "HOME",
    "LANG",
    "PIP_CONFIG_FILE",
    "PIP_INDEX_URL",
    "PIP_CERT",
    "SSL_CERT_FILE",
)
"""What a step gets of this machine: where programs and packages come from."""


@dataclass
class Steps:
    """A runner that carries out one step after the other."""

    home: Path
    """The runner's files."""
    workspace: Path
    """The working folder of each step."""
    values: dict[str, str]
    """Values of expressions by name: ``inputs.require``, ``github.action_path``."""
    environment: Mapping[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    """What each step wrote to its terminal."""

    def run(self, step: Mapping[str, Any]) -> int:
        """Run one step; the result is its exit code."""
        temp = self.home / "temp"
        temp.mkdir(parents=True, exist_ok=True)
        script = self.home / "script.sh"
        script.write_text(self.value(step["run"]))
        files = {name: self.home / name for name in ("GITHUB_OUTPUT", "GITHUB_ENV")}
        for path in files.values():
            path.write_text("")
        done = subprocess.run(
            (*BASH, script),
            cwd=self.workspace,
            env={
                **{name: os.environ[name] for name in PASSED_ON if name in os.environ},
                **self.environment,
                **{name: str(path) for name, path in files.items()},
                "GITHUB_STEP_SUMMARY": str(self.summary),
                "RUNNER_TEMP": str(temp),
                **{name: self.value(str(text)) for name, text in step.get("env", {}).items()},
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.said.append(done.stdout)
        for line in files["GITHUB_OUTPUT"].read_text().splitlines():
            name, equals, value = line.partition("=")
            assert equals, line
            self.values[f"steps.{step['id']}.outputs.{name}"] = value
        return done.returncode

    def value(self, text: str) -> str:
        """`text` with the values of its expressions."""
        return EXPRESSION.sub(lambda found: self.values[found[1]], text)

    @property
    def summary(self) -> Path:
        return self.home / "summary.md"


def with_commands(steps: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [step for step in steps if "run" in step]
