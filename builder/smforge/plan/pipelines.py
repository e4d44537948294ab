"""The jobs as pipelines of GitHub Actions and Buildkite.

pipelines/ holds both, made by `smforge matrix`; docs/matrix.md has the commands.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from smforge.extras import from_build_extra
from smforge.plan.jobs import Job, jobs
from smforge.plan.records import Plan

with from_build_extra("A CI pipeline"):
    import yaml

_DATA = Path(__file__).parent / "data" / "pipelines.json"
_HEADER = "# Made by `smforge matrix --format {name}` from {config}; change that, not this.\n"
_KEEP_DAYS = 14


def github(plan: Plan, config: str | None = None) -> str:
    """A workflow of GitHub Actions. Its last job is the one to require: it passes when all do."""
    every = jobs(plan, config)
    document = {
        "name": "release",
        "on": {"workflow_dispatch": None, "push": {"tags": ["v*"]}},
        "permissions": {"contents": "read"},
        # A second push of a tag waits, because two builds of one cell would disturb each other's
        # cache.
        "concurrency": {"group": "release-${{ github.ref }}", "cancel-in-progress": False},
        "defaults": {"run": {"shell": "bash"}},
        "jobs": {
            **{job.key: _github_job(job) for job in every},
            "verdict": _github_verdict(every),
        },
    }
    text = _yaml(document)
    for action in _table()["actions"].values():
        text = text.replace(action["uses"], f"{action['uses']}  # {action['version']}")
    return _HEADER.format(name="github", config=config or "versions.json") + text


def buildkite(plan: Plan, config: str | None = None) -> str:
    """A pipeline of Buildkite."""
    steps = [_buildkite_step(job) for job in jobs(plan, config)]
    return _HEADER.format(name="buildkite", config=config or "versions.json") + _yaml(
        {"steps": steps}
    )


def _github_job(job: Job) -> dict[str, Any]:
    runner = _table()["runners"][job.runner.value]
    actions = _table()["actions"]
    keep = {
        "name": "Keep",
        "if": "always()",
        "uses": actions["upload"]["uses"],
        "with": {
            "name": job.key,
            "path": "\n".join(job.artifacts),
            "if-no-files-found": "warn",
            "retention-days": _KEEP_DAYS,
        },
    }
    document: dict[str, Any] = {"name": job.label}
    if job.needs:
        document["needs"] = list(job.needs)
    return document | {
        "runs-on": runner["github"][job.platform],
        "timeout-minutes": runner["timeout_minutes"],
        "steps": [
            {"uses": actions["checkout"]["uses"], "with": {"persist-credentials": False}},
            *_github_packages(runner.get("github_packages", ())),
            {"name": "Set up", "run": "make setup"},
            {"name": "Build" if job.variant else "Plan", "run": "\n".join(job.commands)},
            keep,
        ],
    }


def _github_packages(names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The step that installs what a runner lacks, with the runner's own package manager."""
    if names:
        install = f"sudo apt-get install -qq -y {' '.join(names)}"
        yield {"name": "Install", "run": f"sudo apt-get update -qq\n{install}"}


def _github_verdict(every: Sequence[Job]) -> dict[str, Any]:
    return {
        "name": "verdict",
        "needs": [job.key for job in every],
        # Without this a failed job would skip the verdict, and skipped counts as passed.
        "if": "always()",
        "runs-on": _table()["runners"]["light"]["github"]["linux/amd64"],
        "timeout-minutes": 5,
        "permissions": {},
        "steps": [
            {
                "name": "Every cell built and passed its audit",
                "env": {"RESULTS": "${{ join(needs.*.result, ' ') }}"},
                "run": 'for result in $RESULTS; do\n  test "$result" = success\ndone',
            }
        ],
    }


def _buildkite_step(job: Job) -> dict[str, Any]:
    runner = _table()["runners"][job.runner.value]
    document: dict[str, Any] = {"key": job.key, "label": job.label}
    if job.needs:
        document["depends_on"] = list(job.needs)
    # A dollar sign is Buildkite's own when it reads the pipeline; doubled it reaches the shell.
    commands = ["make setup", *(command.replace("$", "$$") for command in job.commands)]
    return document | {
        # One command, so that what `eval` sets is still set for the next line.
        "command": "\n".join(["set -eu", *commands]),
        "agents": {"queue": runner["buildkite"][job.platform]},
        "timeout_in_minutes": runner["timeout_minutes"],
        "artifact_paths": list(job.artifacts),
    }


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, and lists below their key."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _nothing(dumper: yaml.SafeDumper, _: None) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:null", "")


_Dumper.add_representer(str, _text)
_Dumper.add_representer(type(None), _nothing)


def _yaml(document: dict[str, Any]) -> str:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=1000)


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(_DATA.read_text(encoding="utf-8"))
    return table
