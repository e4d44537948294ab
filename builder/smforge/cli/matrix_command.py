"""``smforge matrix``: the CI jobs of the matrix."""

from __future__ import annotations

import json
from pathlib import Path

import click

from smforge.cli.flags import matrix_option, output_option
from smforge.cli.output import OutputSpec, checked_outputs, emit
from smforge.matrix.load import load
from smforge.plan import pipelines
from smforge.plan.jobs import jobs_document
from smforge.plan.records import Plan
from smforge.plan.resolve import resolve

FORMATS = ("github", "buildkite", "json")


@click.command("matrix")
@click.argument("variants", metavar="[VARIANT]...", nargs=-1)
@output_option(FORMATS, "--format", "-o", default="json")
@matrix_option
@click.pass_context
def command(
    ctx: click.Context,
    variants: tuple[str, ...],
    outputs: tuple[OutputSpec, ...],
    config: Path | None,
) -> int:
    """Make the CI pipeline: one job per variant and platform, behind one that checks the matrix.

    Without a VARIANT all of them are in it. pipelines/ holds what this prints for the
    repository's own matrix.
    """
    specs = checked_outputs(outputs)
    plan = resolve(load(config or ctx.obj["config"]), variants)
    emit({spec: _render(plan, spec.format) for spec in specs})
    return 0


def _render(plan: Plan, form: str) -> str:
    if form == "json":
        return json.dumps(jobs_document(plan), indent=2)

    return pipelines.github(plan) if form == "github" else pipelines.buildkite(plan)
