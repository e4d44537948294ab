"""A pipeline of Buildkite."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from smforge.plan.choices import Choices, WheelIndex
from smforge.plan.jobs import PROGRAM, Job, jobs
from smforge.plan.pipelines.services import header, labels, machine, taking
from smforge.plan.pipelines.yaml_text import yaml_text
from smforge.plan.records import Plan


def buildkite(plan: Plan, choices: Choices = Choices()) -> str:  # noqa: B008 - frozen
    """A pipeline: the plan, the cells, then what is done when all of them have passed."""
    every = jobs(plan, choices)
    steps = [
        *(_step(job, choices) for job in every),
        *_wheel_index(every, choices),
        *_publish(every, choices),
    ]
    return header("buildkite", choices) + yaml_text({"steps": steps})


def _step(job: Job, choices: Choices) -> dict[str, Any]:
    document: dict[str, Any] = {"key": job.key, "label": job.label}
    if job.needs:
        ended = [{"step": one, "allow_failure": True} for one in job.after]
        document["depends_on"] = [*job.needs, *ended]
    note = f"buildkite-agent annotate --context {job.key} < {job.summary}"
    return document | {
        "command": _command(
            # The summary of a failed job is the one that people look for.
            f"trap 'if [ -f {job.summary} ]; then {note}; fi' EXIT",
            "make setup",
            *job.commands,
        ),
        "agents": {"queue": labels(job, choices, "buildkite")},
        "timeout_in_minutes": machine(job)["timeout_minutes"],
        "artifact_paths": list(job.artifacts),
    }


def _command(*lines: str) -> str:
    """One command, so that what `eval` sets is still set for the next line."""
    # A dollar sign is Buildkite's own when it reads the pipeline; doubled it reaches the shell.
    return "\n".join(["set -eu", *(line.replace("$", "$$") for line in lines)])


def _fetch(cells: Sequence[Job], choices: Choices, *, images: bool) -> Iterator[str]:
    if choices.store:
        yield taking(choices, cells)
        return
    for job in cells:
        folder = job.artifacts[0].removesuffix("/**")
        wheels = (f"{folder}/*.json", f"{folder}/**/*.whl")
        for pattern in (f"{folder}/**",) if images else wheels:
            yield f'buildkite-agent artifact download "{pattern}" . --step {job.key}'


def _wheel_index(every: Sequence[Job], choices: Choices) -> Iterator[dict[str, Any]]:
    """The step that makes an index of all wheels."""
    if choices.index is WheelIndex.NONE:
        return
    cells = [job for job in every if job.variant]
    yield {
        "key": "index",
        "label": "wheel index",
        "depends_on": [job.key for job in cells],
        "command": _command(
            "make setup", *_fetch(cells, choices, images=False), f"{PROGRAM} index out --to whl"
        ),
        "agents": {"queue": labels(every[0], choices, "buildkite")},
        "timeout_in_minutes": 60,
        "artifact_paths": ["whl/**"],
    }


def _publish(every: Sequence[Job], choices: Choices) -> Iterator[dict[str, Any]]:
    """A step that a person unblocks, and the one that pushes the images of a tag."""
    cells = [job for job in every if job.image]
    if not cells:
        return
    tagged = 'build.tag =~ /^v/ && build.env("IMAGE_REPOSITORY") != null'
    yield {
        "key": "release",
        "block": "Push the images",
        "depends_on": [job.key for job in every],
        "if": tagged,
    }
    yield {
        "key": "publish",
        "label": "images",
        "depends_on": ["release"],
        "if": tagged,
        "command": _command(
            "make setup",
            *_fetch(cells, choices, images=True),
            f'{PROGRAM}{choices.config_flag} publish out --to "$IMAGE_REPOSITORY"',
        ),
        "agents": {"queue": labels(every[0], choices, "buildkite")},
        "timeout_in_minutes": 360,
    }
