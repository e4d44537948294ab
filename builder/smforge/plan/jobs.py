"""The CI jobs of a plan: one that checks that all of it can be built, then one per cell."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from smforge.plan.records import Cell, Plan

PLAN_JOB = "plan"
SCHEMA_VERSION = 1
PROGRAM = ".venv/bin/smforge"
"""The path at which `make setup` installs the command."""


class Runner(StrEnum):
    """The size of the machine that a job needs; data/pipelines.json defines the sizes."""

    LIGHT = "light"
    HOSTED = "hosted"
    LARGE = "large"


@dataclass(frozen=True, slots=True)
class Job:
    """One CI job."""

    key: str
    """Unique among the jobs; `needs` refers to it."""
    label: str
    variant: str | None
    """None for the job that checks the matrix."""
    platform: str
    """The platform of the machine: a cell is built natively."""
    runner: Runner
    needs: tuple[str, ...]
    targets: tuple[str, ...]
    """The targets of docker-bake.hcl that it builds."""
    commands: tuple[str, ...]
    """Bash commands, run in the checkout after `make setup`."""
    artifacts: tuple[str, ...]
    """The files to keep, passed or not: finished artefacts, rejected ones, logs."""


def jobs(plan: Plan, config: str | None = None) -> tuple[Job, ...]:
    """The jobs, each after the jobs that it needs.

    `config` is the matrix file as the jobs find it from the checkout; None for versions.json.
    """
    flag = f" --config {shlex.quote(config)}" if config else ""
    return (_plan_job(plan, flag), *(_cell_job(cell, flag) for cell in plan.cells))


def jobs_document(plan: Plan, config: str | None = None) -> dict[str, Any]:
    """The jobs as plain data; the shape is published in data/jobs.schema.json."""
    every = [_job(job) for job in jobs(plan, config)]
    return {"schema_version": SCHEMA_VERSION, "jobs": every}


def _plan_job(plan: Plan, config: str) -> Job:
    variants = " ".join(dict.fromkeys(cell.variant for cell in plan.cells))
    return Job(
        key=PLAN_JOB,
        label="plan",
        variant=None,
        platform="linux/amd64",
        runner=Runner.LIGHT,
        needs=(),
        targets=(),
        commands=(
            f"{PROGRAM} plan{config} {variants} -o table -o json=plan.json",
            f"{PROGRAM} plan{config} {variants} --check -o table -o json=check.json",
        ),
        artifacts=("plan.json", "check.json"),
    )


def _cell_job(cell: Cell, config: str) -> Job:
    out = f"out/{cell.variant}"
    slug = cell.platform.replace("/", "-")
    return Job(
        key=cell.name,
        label=f"{cell.variant} ({cell.platform})",
        variant=cell.variant,
        platform=cell.platform,
        runner=_runner(cell),
        needs=(PLAN_JOB,),
        targets=cell.targets,
        commands=(
            "tools/engine start",
            'eval "$(tools/engine env)"',
            f"{PROGRAM} build{config} {cell.variant} --platform {cell.platform}",
        ),
        artifacts=(f"{out}/{slug}/**", f"{out}/rejected/{slug}/**", f"{out}/logs/{slug}/**"),
    )


def _runner(cell: Cell) -> Runner:
    flashinfer = cell.component("flashinfer")
    small = flashinfer is not None and flashinfer.settings["selection"] == "core"
    return Runner.HOSTED if small and len(cell.components) == 1 else Runner.LARGE


def _job(job: Job) -> dict[str, Any]:
    return {
        "key": job.key,
        "label": job.label,
        "variant": job.variant,
        "platform": job.platform,
        "runner": job.runner.value,
        "needs": list(job.needs),
        "targets": list(job.targets),
        "commands": list(job.commands),
        "artifacts": list(job.artifacts),
    }
