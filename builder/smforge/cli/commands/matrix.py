"""``smforge matrix``: the CI jobs of the matrix."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import click

from smforge.cli.flags import choice_options, matrix_option, output_option
from smforge.cli.output import OutputSpec, checked_outputs, emit
from smforge.errors import UsageError
from smforge.matrix.load import DEFAULT_FILE, load
from smforge.plan.jobs import jobs_document
from smforge.plan.records import Plan
from smforge.plan.resolve import resolve
from smforge.workflow.farm.choice import Choice, chosen, parse_shard

FORMATS = ("github", "buildkite", "json")


@click.command("matrix")
@click.argument("variants", metavar="[VARIANT]...", nargs=-1)
@output_option(FORMATS, "--format", "-o", default="json")
@choice_options
@matrix_option
@click.pass_context
def command(  # noqa: PLR0913, PLR0917 - one parameter per flag
    ctx: click.Context,
    variants: tuple[str, ...],
    only: tuple[str, ...],
    shard: str | None,
    outputs: tuple[OutputSpec, ...],
    config: Path | None,
) -> int:
    """Make the CI pipeline: one job per variant and platform, behind one that checks the matrix.

    Without a VARIANT all of them are in it. pipelines/ holds what this prints for the
    repository's own matrix.

    \b
    smforge matrix cu130-spark
    smforge matrix --format github=pipelines/github.yml
    """
    specs = checked_outputs(outputs)
    matrix = load(config or ctx.obj["config"])
    whole = resolve(matrix, variants)
    choice = Choice(only=only, shard=None if shard is None else parse_shard(shard))
    plan = replace(whole, cells=chosen(whole.cells, choice))
    file = None if matrix.path == DEFAULT_FILE else _from_here(matrix.path)
    emit({spec: _render(plan, spec.format, file) for spec in specs})
    return 0


def _from_here(file: Path) -> str:
    """The path of a matrix as CI jobs name it, in a checkout like this directory.

    Raises `UsageError` for a file outside of it, which the jobs would not have.
    """
    try:
        return file.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        raise UsageError(
            f"{file} is outside of this directory, so the jobs would not have it.",
            remedy="Run this in the checkout that holds the matrix.",
        ) from None


def _render(plan: Plan, form: str, file: str | None) -> str:
    if form == "json":
        return json.dumps(jobs_document(plan, file), indent=2)

    from smforge.plan.pipelines import buildkite, github  # noqa: PLC0415  # defers pipelines

    render = github if form == "github" else buildkite
    return render(plan, file)
