"""``smforge doctor``: what the project and this host have and lack, with the remedies."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import click

from smforge.bake.host.doctor import Host, can_build, examine
from smforge.bake.host.doctor_report import document, render_table
from smforge.bake.host.findings import Finding
from smforge.bake.host.own_engine import use_own_engine
from smforge.cli.flags import builder_option, matrix_option, output_option
from smforge.cli.output import OutputSpec, checked_outputs, color_wanted, emit
from smforge.inventory.cuobjdump.locate import locate

FORMATS = ("table", "json")


@click.command("doctor")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("out"),
    show_default=True,
    help="Where artefacts would go.",
)
@builder_option
@output_option(FORMATS)
@matrix_option
@click.pass_context
def command(
    ctx: click.Context,
    out: Path,
    builder: str | None,
    outputs: tuple[OutputSpec, ...],
    config: Path | None,
) -> int:
    """Show what the project and this host have and lack for a build, with the remedy for each.

    Exit codes: 0 when a build can run, 1 when something it needs is lacking.

    \b
    smforge doctor
    smforge doctor --builder farm --out /data/out -o doctor.json
    """
    specs = checked_outputs(outputs)
    use_own_engine()
    config = config or ctx.obj["config"]
    host = Host(out, cuobjdump=lambda: locate().version, config=config, builder=builder)
    findings = examine(host)
    emit({spec: _render(findings, spec) for spec in specs})
    return 0 if can_build(findings) else 1


def _render(findings: tuple[Finding, ...], spec: OutputSpec) -> str:
    if spec.format == "json":
        return json.dumps(document(findings), indent=2)

    terminal = spec.file is None and sys.stdout.isatty()
    width = shutil.get_terminal_size((100, 24)).columns if terminal else 100
    return render_table(findings, width=width, color=color_wanted(spec))
