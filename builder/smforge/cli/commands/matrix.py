"""``smforge matrix``: the CI jobs of the matrix."""

from __future__ import annotations

import json
from pathlib import Path

import click

from smforge.cli.flags import matrix_option, output_option
from smforge.cli.output import OutputSpec, checked_outputs, emit
from smforge.errors import UsageError
from smforge.matrix.load import DEFAULT_FILE, load
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

    \b
    smforge matrix cu130-spark
    smforge matrix --format github=pipelines/github.yml
    """
    specs = checked_outputs(outputs)
    matrix = load(config or ctx.obj["config"])
    plan = resolve(matrix, variants)
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
