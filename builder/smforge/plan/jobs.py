"""The CI jobs of a plan: one that checks that all of it can be built, then one per cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from smforge.plan.choices import Choices, Runner
from smforge.plan.records import Cell, Plan

PLAN_JOB = "plan"
SCHEMA_VERSION = 1
PROGRAM = ".venv/bin/smforge"
"""The path at which `make setup` installs the command."""


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
    """The jobs that must have passed before it."""
    after: tuple[str, ...]
    """The jobs that must have ended before it, passed or not: they compile what it then finds."""
    targets: tuple[str, ...]
    """The targets of docker-bake.hcl that it builds."""
    commands: tuple[str, ...]
    """Bash commands, run in the checkout after `make setup`."""
    artifacts: tuple[str, ...]
    """The files to keep, passed or not: finished artefacts, rejected ones, logs, reports."""
    image: str | None
    """The folder with the layout of its image; None where it makes none. It is kept apart, unless a
    store has it."""
    summary: str
    """The Markdown file that sums it up."""
    sarif: str | None
    """The findings of its audit for code scanning."""


def jobs(plan: Plan, choices: Choices = Choices()) -> tuple[Job, ...]:  # noqa: B008 - frozen
    """The jobs, each after the jobs that it needs."""
    cells = (_cell_job(cell, choices) for cell in plan.cells)
    return (_plan_job(plan, choices), *cells)


def jobs_document(plan: Plan, choices: Choices = Choices()) -> dict[str, Any]:  # noqa: B008
    """The jobs as plain data; the shape is published in data/jobs.schema.json."""
    every = [_job(job) for job in jobs(plan, choices)]
    return {"schema_version": SCHEMA_VERSION, "jobs": every}


def _plan_job(plan: Plan, choices: Choices) -> Job:
    variants = " ".join(dict.fromkeys(cell.variant for cell in plan.cells))
    asked = f"{choices.config_flag} {variants}"
    selected = " ".join(choices.selection) or variants
    flags = "".join(f" {flag}" for flag in choices.flags)
    return Job(
        key=PLAN_JOB,
        label="plan",
        variant=None,
        platform="linux/amd64",
        runner=Runner.LIGHT,
        needs=(),
        after=(),
        targets=(),
        commands=(
            f"{PROGRAM} matrix{choices.config_flag} {selected}{flags} -o jobs.md",
            f"{PROGRAM} plan{asked} -o table -o plan.json",
            f"{PROGRAM} plan{asked} --check -o table -o check.json",
        ),
        artifacts=("plan.json", "check.json"),
        image=None,
        summary="jobs.md",
        sarif=None,
    )


def _cell_job(cell: Cell, choices: Choices) -> Job:
    out = f"out/{cell.variant}"
    slug = cell.platform.replace("/", "-")
    reports = f"{out}/reports/{slug}"
    files = ("summary.md", "audit.xml", "audit.sarif", "build.json")
    outputs = " ".join(f"-o {reports}/{name}" for name in files)
    asked = f"{choices.config_flag} {cell.variant} --platform {cell.platform}{choices.store_flags}"
    built = () if choices.store else (f"{out}/{slug}/**",)
    return Job(
        key=cell.name,
        label=f"{cell.variant} ({cell.platform})",
        variant=cell.variant,
        platform=cell.platform,
        runner=_runner(cell),
        needs=(PLAN_JOB,),
        after=tuple((choices.after or {}).get(cell.name, ())),
        targets=cell.targets,
        commands=(
            "tools/engine start",
            'eval "$(tools/engine env)"',
            f"mkdir -p {reports}",
            f"{PROGRAM} build{asked} -o table {outputs}",
        ),
        artifacts=(
            *built,
            f"{out}/rejected/{slug}/**",
            f"{out}/logs/{slug}/**",
            f"{reports}/**",
        ),
        image=None if cell.image is None else f"{out}/{slug}/image",
        summary=f"{reports}/summary.md",
        sarif=f"{reports}/audit.sarif",
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
        "after": list(job.after),
        "targets": list(job.targets),
        "commands": list(job.commands),
        "artifacts": list(job.artifacts),
        "image": job.image,
        "summary": job.summary,
        "sarif": job.sarif,
    }
