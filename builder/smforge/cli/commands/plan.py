"""``smforge plan``: what each variant builds."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from smforge.bake.host.settings import HostSettings
from smforge.cli.flags import matrix_option, output_option
from smforge.cli.output import OutputSpec, checked_outputs, color_wanted, emit
from smforge.errors import EXIT_FINDINGS, EXIT_PASS
from smforge.matrix.load import load
from smforge.matrix.place import build_root
from smforge.plan.document import plan_document
from smforge.plan.records import Plan
from smforge.plan.resolve import resolve
from smforge.sigterm import ended_tidily
from smforge.workflow.cost.means import Means, this_host

FORMATS = ("table", "json")
_GIB = 1 << 30


@click.command("plan")
@click.argument("variants", metavar="[VARIANT]...", nargs=-1)
@click.option(
    "--preflight",
    "ask_sources",
    is_flag=True,
    help="Ask the sources too, and show which targets they compile as others.",
)
@click.option(
    "--check",
    is_flag=True,
    help="Check that every cell can be built as planned: its files, its pins, its sources.",
)
@click.option(
    "--cost",
    is_flag=True,
    help="Say what a build costs: units, CPU hours, wall time, bytes, and what cells share.",
)
@click.option("--cores", type=click.IntRange(min=1), help="With --cost.  [default: of this host]")
@click.option(
    "--memory",
    type=click.FloatRange(min=1),
    metavar="GIB",
    help="With --cost.  [default: of this host]",
)
@click.option(
    "--records",
    multiple=True,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="OUT",
    help="With --cost: show what the last builds in this directory took; repeatable.",
)
@click.option(
    "--hashes", is_flag=True, help="In the table: show the hashes of sources and wheels too."
)
@output_option(FORMATS)
@matrix_option
@click.pass_context
def command(  # noqa: PLR0913, PLR0917 - one parameter per flag
    ctx: click.Context,
    variants: tuple[str, ...],
    ask_sources: bool,
    check: bool,
    cost: bool,
    cores: int | None,
    memory: float | None,
    records: tuple[Path, ...],
    hashes: bool,
    outputs: tuple[OutputSpec, ...],
    config: Path | None,
) -> int:
    """Show what each variant builds: toolkit, arch lists, build arguments, requirements.

    Without a VARIANT the table has one line for each of them; with a VARIANT it has everything
    about it. JSON always has everything. Nothing is built and no engine is needed. With --check
    the exit code is 1 where a cell cannot be built as planned.

    \b
    smforge plan
    smforge plan cu130-spark -o plan.json
    smforge plan --check
    smforge plan --cost --cores 64 --memory 256
    """
    specs = checked_outputs(outputs)
    matrix = load(config or ctx.obj["config"])
    host = HostSettings.from_environment(os.environ)
    plan = resolve(matrix, variants, host.versions)
    if check:
        return _check(plan, matrix.path, host, specs, quiet=ctx.obj["quiet"])
    if cost:
        means = this_host()
        if cores is not None:
            means = replace(means, cores=cores)
        if memory is not None:
            means = replace(means, memory_bytes=int(memory * _GIB))
        return _cost(plan, matrix.path, host, means, records, specs, quiet=ctx.obj["quiet"])
    if ask_sources:
        from smforge.workflow.compiled_plan import as_compiled  # noqa: PLC0415  # defers preflight

        plan = as_compiled(plan, build_root(matrix.path), host)
    named = bool(variants) or ask_sources or hashes
    default = None if named else matrix.document.default
    emit({spec: _render(plan, spec, default, hashes=hashes) for spec in specs})
    return 0


def _check(
    plan: Plan, matrix: Path, host: HostSettings, specs: Sequence[OutputSpec], *, quiet: bool
) -> int:
    """Check every cell, and say what stands against it."""
    from smforge.preflight.cache import Cache, default_directory  # noqa: PLC0415  # defers preflight
    from smforge.workflow.building.messages import Messages  # noqa: PLC0415  # defers progress
    from smforge.workflow.plan_check import (  # noqa: PLC0415  # defers preflight
        check_cells,
        check_document,
        check_table,
    )

    announce = Messages(quiet=quiet).announce
    with ended_tidily():
        checks = check_cells(plan.cells, matrix, Cache(default_directory()), host, announce)
    emit(
        {
            spec: json.dumps(check_document(checks), indent=2)
            if spec.format == "json"
            else check_table(checks)
            for spec in specs
        }
    )
    return EXIT_PASS if all(one.passed for one in checks) else EXIT_FINDINGS


def _cost(  # noqa: PLR0913, PLR0917  # what the flags say
    plan: Plan,
    matrix: Path,
    host: HostSettings,
    means: Means,
    records: Sequence[Path],
    specs: Sequence[OutputSpec],
    *,
    quiet: bool,
) -> int:
    """Price every cell."""
    from smforge.workflow.building.messages import Messages  # noqa: PLC0415  # defers progress
    from smforge.workflow.cost.asking import cost_of  # noqa: PLC0415  # defers preflight
    from smforge.workflow.cost.rendering import cost_document, cost_text  # noqa: PLC0415  # defers preflight

    announce = Messages(quiet=quiet).announce
    root = build_root(matrix)
    found = cost_of(plan, root, host, means=means, records=records, announce=announce)
    emit(
        {
            spec: json.dumps(cost_document(found), indent=2)
            if spec.format == "json"
            else cost_text(found)
            for spec in specs
        }
    )
    return EXIT_PASS


def _render(plan: Plan, spec: OutputSpec, default: str | None, *, hashes: bool) -> str:
    """The plan in one form; `default` is the default variant where the table has a line each."""
    if spec.format == "json":
        return json.dumps(plan_document(plan), indent=2)
    from smforge.plan.table import render_overview, render_table  # noqa: PLC0415  # defers rich

    color = color_wanted(spec)
    if default is not None:
        return render_overview(plan, default, color=color)
    return render_table(plan, hashes=hashes, color=color)
