"""``smforge plan``: what each variant builds."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from smforge.cli.flags import matrix_option, output_option
from smforge.cli.output import OutputSpec, checked_outputs, emit
from smforge.errors import EXIT_FINDINGS, EXIT_PASS

if TYPE_CHECKING:
    from smforge.bake.host.settings import HostSettings
    from smforge.plan.records import Plan

FORMATS = ("table", "json")


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
@output_option(FORMATS)
@matrix_option
@click.pass_context
def command(  # noqa: PLR0913, PLR0917 - one parameter per flag
    ctx: click.Context,
    variants: tuple[str, ...],
    ask_sources: bool,
    check: bool,
    outputs: tuple[OutputSpec, ...],
    config: Path | None,
) -> int:
    """Show what each variant builds: toolkit, arch lists, build arguments, requirements.

    Without a VARIANT all of them are shown. Nothing is built and no engine is needed. With --check
    the exit code is 1 where a cell cannot be built as planned.
    """
    # Imported when it runs: pydantic costs more than all the rest.
    from smforge.bake.host.settings import HostSettings  # noqa: PLC0415
    from smforge.matrix.load import load  # noqa: PLC0415
    from smforge.plan.resolve import resolve  # noqa: PLC0415

    specs = checked_outputs(outputs)
    matrix = load(config or ctx.obj["config"])
    host = HostSettings.from_environment(os.environ)
    plan = resolve(matrix, variants, host.versions)
    if check:
        return _check(plan, matrix.path.resolve().parent, host, specs, quiet=ctx.obj["quiet"])
    if ask_sources:
        plan = _as_compiled(plan, matrix.path.resolve().parent, host)
    emit({spec: _render(plan, spec) for spec in specs})
    return 0


def _check(
    plan: Plan, root: Path, host: HostSettings, specs: Sequence[OutputSpec], *, quiet: bool
) -> int:
    """Check every cell, and say what stands against it."""
    from smforge.preflight.cache import Cache, default_directory  # noqa: PLC0415
    from smforge.sigterm import ended_tidily  # noqa: PLC0415
    from smforge.workflow.plan_check import (  # noqa: PLC0415
        check_cells,
        check_document,
        check_table,
    )

    def announce(text: str) -> None:
        if not quiet:
            sys.stderr.write(f"smforge: {text}\n")

    with ended_tidily():
        checks = check_cells(plan.cells, root, Cache(default_directory()), host, announce)
    emit(
        {
            spec: json.dumps(check_document(checks), indent=2)
            if spec.format == "json"
            else check_table(checks)
            for spec in specs
        }
    )
    return EXIT_PASS if all(one.passed for one in checks) else EXIT_FINDINGS


def _as_compiled(plan: Plan, root: Path, host: HostSettings) -> Plan:
    """The plan with what the sources make of it (cached, else a few seconds per component)."""
    from dataclasses import replace  # noqa: PLC0415

    from smforge.preflight.cache import Cache, default_directory  # noqa: PLC0415
    from smforge.preflight.cell import (  # noqa: PLC0415
        Circumstances,
        examinable,
        preflight_cell,
        with_collapses,
    )
    from smforge.sigterm import ended_tidily  # noqa: PLC0415

    circumstances = Circumstances(root, Cache(default_directory()), host.checkouts)
    with ended_tidily():
        cells = tuple(
            with_collapses(preflight_cell(cell, examinable(cell), circumstances))
            for cell in plan.cells
        )
    return replace(plan, cells=cells)


def _render(plan: Plan, spec: OutputSpec) -> str:
    if spec.format == "json":
        from smforge.plan.document import plan_document  # noqa: PLC0415

        return json.dumps(plan_document(plan), indent=2)
    from smforge.plan.table import render_table  # noqa: PLC0415

    return render_table(plan, color=spec.file is None and _color_wanted())


def _color_wanted() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
