"""``smforge init``: lays out a project that plan and build work in."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from smforge.workflow.project import PIPELINES, lay_out


@click.command("init")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--variant",
    "variants",
    metavar="NAME",
    multiple=True,
    help="A variant of smforge's own matrix to start with; repeatable, the first is the default.  "
    "[default: demo, FlashInfer's core kernels for 11.0a, 12.0f and 12.1a]",
)
@click.option(
    "--pipeline",
    "pipelines",
    type=click.Choice(tuple(PIPELINES)),
    multiple=True,
    help="Add a CI pipeline, and the Makefile that its jobs set up with; repeatable.",
)
def command(folder: Path, variants: tuple[str, ...], pipelines: tuple[str, ...]) -> int:
    """Lay out a project in DIR that 'smforge plan' and 'smforge build' work in.

    It has a matrix (versions.json), the bake file, docker/, and tools/engine, which provides a
    Docker Engine where the host has none. What is there already is never changed.

    \b
    smforge init release && cd release && smforge plan
    """
    written = lay_out(folder, variants, pipelines)
    names = ", ".join(f"{one}/" if (folder / one).is_dir() else str(one) for one in written)
    click.echo(
        f"{folder} has {names}.\n\n"
        f"  cd {shlex.quote(str(folder))}\n"
        "  smforge plan      says what is built\n"
        "  smforge doctor    says what this host lacks for it\n"
        "  smforge build     builds it, and audits what came out"
    )
    return 0
