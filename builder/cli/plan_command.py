"""``smforge plan``: what each variant builds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from builder.cli.flags import matrix_option, output_option
from builder.cli.output import OutputSpec, emit, require_distinct

if TYPE_CHECKING:
    from builder.plan.records import Plan

FORMATS = ("table", "json")


@click.command("plan")
@click.argument("variants", metavar="[VARIANT]...", nargs=-1)
@output_option(FORMATS)
@matrix_option
@click.pass_context
def command(
    ctx: click.Context,
    variants: tuple[str, ...],
    outputs: tuple[OutputSpec, ...],
    config: Path | None,
) -> int:
    """Show what each variant builds: toolkit, arch lists, build arguments, requirements.

    Without a VARIANT all of them are shown. Nothing is built and no engine is needed.
    """
    # Imported when it runs: pydantic costs more than all the rest.
    from builder.matrix.load import load  # noqa: PLC0415
    from builder.plan.resolve import resolve  # noqa: PLC0415

    specs = require_distinct(outputs)
    plan = resolve(load(config or ctx.obj["config"]), variants)
    emit({spec: _render(plan, spec) for spec in specs})
    return 0


def _render(plan: Plan, spec: OutputSpec) -> str:
    if spec.format == "json":
        from builder.plan.document import plan_document  # noqa: PLC0415

        return json.dumps(plan_document(plan), indent=2)
    from builder.plan.table import render_table  # noqa: PLC0415

    return render_table(plan, color=spec.file is None and _color_wanted())


def _color_wanted() -> bool:
    import os  # noqa: PLC0415
    import sys  # noqa: PLC0415

    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
