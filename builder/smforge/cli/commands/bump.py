"""``smforge bump``: takes a new release into the matrix."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from smforge.bake.host.settings import HostSettings
from smforge.cli.flags import matrix_option, output_option
from smforge.cli.output import OutputSpec, checked_outputs, emit
from smforge.errors import EXIT_FINDINGS, EXIT_PASS
from smforge.preflight.cache import Cache, default_directory
from smforge.sigterm import ended_tidily
from smforge.workflow.bumping.bump import Request, bump
from smforge.workflow.bumping.rendering import bump_document, bump_table

FORMATS = ("table", "json")


@click.command("bump")
@click.argument("source", metavar="SOURCE")
@click.argument("version", metavar="[VERSION]", required=False)
@click.option("--dry-run", is_flag=True, help="Show the same and write nothing.")
@click.option(
    "--no-preflight",
    is_flag=True,
    help="Do not compare what devices get with the release before.",
)
@output_option(FORMATS)
@matrix_option
@click.pass_context
def command(  # noqa: PLR0913, PLR0917 - one parameter per flag
    ctx: click.Context,
    source: str,
    version: str | None,
    dry_run: bool,
    no_preflight: bool,
    outputs: tuple[OutputSpec, ...],
    config: Path | None,
) -> int:
    """Take a new release into versions.json, and show what a device would lose by it.

    SOURCE is vllm, flashinfer, lmcache, nixl, mooncake, torch or toolkit; without a VERSION it is
    the newest that pip's index has. Of vllm the projects that its CMake fetches, torch and
    FlashInfer follow. Exit code 1 means that a device loses something, or that a build would stop;
    the files are written all the same.

    \b
    smforge bump vllm 0.34.0 --dry-run
    smforge bump flashinfer
    smforge bump toolkit 13.2 -o json=bump.json
    """
    from smforge.workflow.building.messages import Messages  # noqa: PLC0415  # defers progress

    specs = checked_outputs(outputs)
    request = Request(
        matrix=config or ctx.obj["config"],
        source=source,
        version=version,
        write=not dry_run,
        compare=not no_preflight,
    )
    origin = HostSettings.from_environment(os.environ).origin
    announce = Messages(quiet=ctx.obj["quiet"]).announce
    with ended_tidily():
        result = bump(request, Cache(default_directory()), origin, announce)
    emit(
        {
            spec: json.dumps(bump_document(result), indent=2)
            if spec.format == "json"
            else bump_table(result)
            for spec in specs
        }
    )
    return EXIT_FINDINGS if result.loses else EXIT_PASS
