"""``smforge slim``: a copy without the code that no kept device needs."""

from __future__ import annotations

from pathlib import Path

import click

from smforge.cli.flags import rewriting_options
from smforge.cli.rewriting import devices_of, run
from smforge.rewrite.records import Request


@click.command("slim")
@click.argument("subject", type=click.Path(path_type=Path))
@click.option(
    "--keep",
    "words",
    metavar="DEVICES",
    multiple=True,
    required=True,
    help='The devices whose code stays: "12.0 12.1".',
)
@click.option("--repair", is_flag=True, help="First make machine code from PTX for these devices.")
@click.option("--keep-ptx", is_flag=True, help="Leave PTX in, for devices to come.")
@rewriting_options
@click.pass_context
def command(  # noqa: PLR0913, PLR0917 - one parameter per flag
    ctx: click.Context,
    subject: Path,
    words: tuple[str, ...],
    repair: bool,
    keep_ptx: bool,
    toolkit: str | None,
    ptxas: Path | None,
    no_load: bool,
    out: Path,
) -> int:
    """Write a copy of a wheel, a folder or a library without the code that no kept device needs.

    Whatever the driver could pick for a kept device stays. The copy is proven object by object and
    audited with both readers before it gets its name; the original is only read. Proving that the
    libraries load runs their start-up code; --no-load leaves that out.

    \b
    smforge slim vllm-0.33.0-cp38-abi3-manylinux_2_28_x86_64.whl --keep 12.1 -o .
    smforge slim --repair --keep 12.1 vllm-0.33.0-…-x86_64.whl -o .
    """

    devices = devices_of(words, "--keep")
    request = Request(devices, devices if repair else (), keep_ptx, toolkit, ptxas)
    return run(subject, request, out, load=not no_load, quiet=ctx.obj["quiet"])
