"""Walks through a workflow of GitHub Actions on this machine: every job, every command.

The commands run in a real bash. The actions that a workflow uses are stood in for by what they do
to files: a checkout is a copy, an artefact a folder. A condition that is not known here is an
error, so that no step is left out by mistake.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.ci.github_steps import Steps

_FILE = re.compile(r"hashFiles\('([^']+)'\) != ''")


@dataclass
class Walk:
    """A run of a workflow."""

    jobs: Mapping[str, Any]
    checkout: Path
    home: Path
    values: dict[str, str]
    """Values of expressions: ``vars.IMAGE_REPOSITORY``."""
    environment: Mapping[str, str]
    results: dict[str, str] = field(default_factory=dict)
    said: dict[str, list[str]] = field(default_factory=dict)
    summaries: dict[str, str] = field(default_factory=dict)
    scanned: list[Path] = field(default_factory=list)
    """The SARIF files that were shown."""

    def run(self) -> dict[str, str]:
        """Run every job after those that it needs; the results by job."""
        for name, job in self.jobs.items():
            needed = [self.results[one] for one in job.get("needs", ())]
            self.values["join(needs.*.result, ' ')"] = " ".join(needed)
            wanted = self._job_is_wanted(job, all(one == "success" for one in needed))
            self.results[name] = self._job(name, job) if wanted else "skipped"
        return self.results

    @property
    def artefacts(self) -> Path:
        return self.home / "artefacts"

    def _job_is_wanted(self, job: Mapping[str, Any], successful: bool) -> bool:
        match job.get("if"):
            case None:
                return successful
            case "always()":
                return True
            case "startsWith(github.ref, 'refs/tags/') && vars.IMAGE_REPOSITORY != ''":
                return successful and bool(self.values["vars.IMAGE_REPOSITORY"])
            case other:
                raise AssertionError(f"unknown condition {other}")

    def _job(self, name: str, job: Mapping[str, Any]) -> str:
        workspace, home = self.home / name / "workspace", self.home / name / "runner"
        workspace.mkdir(parents=True)
        home.mkdir()
        steps = Steps(home, workspace, self.values)
        steps.environment = {
            **self.environment,
            **{key: steps.value(text) for key, text in job.get("env", {}).items()},
        }
        steps.summary.write_text("")
        successful = True
        for step in job["steps"]:
            if not self._step_is_wanted(step, workspace, successful):
                continue
            done = steps.run(step) == 0 if "run" in step else self._use(step, workspace)
            successful = successful and done
        self.said[name] = steps.said
        self.summaries[name] = steps.summary.read_text()
        return "success" if successful else "failure"

    def _step_is_wanted(self, step: Mapping[str, Any], workspace: Path, successful: bool) -> bool:
        condition = step.get("if", "success()")
        for part in condition.split(" && "):
            if file := _FILE.fullmatch(part):
                holds = (workspace / file[1]).is_file()
            else:
                holds = {
                    "success()": successful,
                    "always()": True,
                    "!cancelled()": True,
                    "runner.environment == 'github-hosted'": False,
                    "vars.CODE_SCANNING == 'true'": True,
                }[part]
            if not holds:
                return False
        return True

    def _use(self, step: Mapping[str, Any], workspace: Path) -> bool:
        given = step.get("with", {})
        match step["uses"].partition("@")[0]:
            case "actions/checkout":
                shutil.copytree(self.checkout, workspace, symlinks=True, dirs_exist_ok=True)
            case "actions/upload-artifact":
                upload(workspace, given["path"].splitlines(), self.artefacts / given["name"])
            case "actions/download-artifact":
                kept = self.artefacts / given["name"]
                shutil.copytree(kept, workspace / given["path"], dirs_exist_ok=True)
            case "github/codeql-action/upload-sarif":
                file = workspace / given["sarif_file"]
                assert json.loads(file.read_text())["runs"]
                self.scanned.append(file)
            case "docker/login-action":
                pass
            case other:
                raise AssertionError(f"unknown action {other}")
        return True


def upload(workspace: Path, patterns: list[str], artefact: Path) -> None:
    """Keep files as actions/upload-artifact does: below what all patterns share."""
    wanted = [one for one in patterns if not one.startswith("!")]
    left_out = [workspace / one[1:].removesuffix("/**") for one in patterns if one.startswith("!")]
    places = [workspace / one.removesuffix("/**") for one in wanted]
    root = Path(os.path.commonpath(places))
    assert not artefact.exists(), f"{artefact.name} is there already"
    artefact.mkdir(parents=True)
    for place in places:
        for path in [place] if place.is_file() else place.rglob("*"):
            hidden = any(part.startswith(".") for part in path.relative_to(workspace).parts)
            if path.is_dir() or hidden or any(path.is_relative_to(one) for one in left_out):
                continue
            target = artefact / path.relative_to(root if root.is_dir() else root.parent)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
