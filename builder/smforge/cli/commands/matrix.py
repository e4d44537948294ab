"""``smforge matrix``: the CI jobs of the matrix."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import click

from smforge.cli.flags import choice_options, matrix_option, output_option
from smforge.cli.output import OutputSpec, checked_outputs, emit
from smforge.errors import UsageError
from smforge.matrix.load import DEFAULT_FILE, load
from smforge.plan.choices import Choices, WheelIndex, runner_labels
from smforge.plan.jobs import jobs_document
from smforge.plan.records import Plan
from smforge.plan.resolve import resolve
from smforge.workflow.farm.choice import Choice, chosen, parse_shard
from smforge.workflow.farm.stores.naming import open_store
from smforge.workflow.farm.worth import waiting

FORMATS = ("github", "buildkite", "json", "markdown")


@click.command("matrix")
@click.argument("variants", metavar="[VARIANT]...", nargs=-1)
@click.option(
    "--runner",
    "runners",
    metavar="[SIZE:]PLATFORM=LABEL,...",
    multiple=True,
    help="The labels of your runners (GitHub) or the queue of your agents (Buildkite) for a "
    "platform: linux/arm64=our-arm64. SIZE is light, hosted or large; without it the label is for "
    "all jobs of the platform. Repeatable.",
)
@click.option(
    "--wheel-index",
    type=click.Choice(tuple(WheelIndex)),
    default=WheelIndex.ARTEFACT,
    show_default=True,
    help="Where the pipeline puts the index of the wheels that passed; pages is of GitHub alone.",
)
@click.option(
    "--store",
    metavar="STORE",
    help="Where the jobs hand over what has passed, registry:HOST/NAME or a directory that all "
    "machines see: a job takes a result of the same inputs from there, and what follows takes all "
    "of them.",
)
@click.option(
    "--shared-cache",
    is_flag=True,
    help="The jobs share a compile cache (SMFORGE_SCCACHE): a cell waits for another one that "
    "compiles the same, where this pays.",
)
@output_option(FORMATS, "--format", "-o", default="json")
@choice_options
@matrix_option
@click.pass_context
def command(  # noqa: PLR0913, PLR0917 - one parameter per flag
    ctx: click.Context,
    variants: tuple[str, ...],
    runners: tuple[str, ...],
    wheel_index: str,
    store: str | None,
    shared_cache: bool,
    only: tuple[str, ...],
    shard: str | None,
    outputs: tuple[OutputSpec, ...],
    config: Path | None,
) -> int:
    """Make the CI pipeline: one job per variant and platform, behind one that checks the matrix.

    Without a VARIANT all of them are in it. pipelines/ holds what this prints for the
    repository's own matrix. markdown is an overview: each cell with the machine that it needs.

    \b
    smforge matrix cu130-spark
    smforge matrix --format github=pipelines/github.yml
    smforge matrix --format buildkite | buildkite-agent pipeline upload
    smforge matrix --format github --runner large:linux/arm64=self-hosted,thor
    smforge matrix --format github --store registry:ghcr.io/our/cells --shared-cache
    """
    specs = checked_outputs(outputs)
    matrix = load(config or ctx.obj["config"])
    whole = resolve(matrix, variants)
    choice = Choice(only=only, shard=None if shard is None else parse_shard(shard))
    plan = replace(whole, cells=chosen(whole.cells, choice))
    file = None if matrix.path == DEFAULT_FILE else _from_here(matrix.path)
    shard_flag = () if shard is None else (f"--shard {shard}",)
    selection = (*variants, *(f"--only {shlex.quote(one)}" for one in only), *shard_flag)
    machines = tuple(map(runner_labels, runners))
    if store is not None:
        open_store(store, Path(), announce=print)  # What is no store is refused here, not in a job.
    after = {one.cell: one.after for one in waiting(plan.cells)} if shared_cache else None
    choices = Choices(file, machines, WheelIndex(wheel_index), selection, store, after)
    emit({spec: _render(plan, spec.format, choices) for spec in specs})
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


def _render(plan: Plan, form: str, choices: Choices) -> str:
    if form == "json":
        return json.dumps(jobs_document(plan, choices), indent=2)

    from smforge.plan.pipelines import (  # noqa: PLC0415  # defers pipelines
        buildkite,
        github,
        overview,
    )

    renders = {"github": github, "buildkite": buildkite, "markdown": overview}
    return renders[form](plan, choices)
