"""``smforge repair``: a copy with machine code where there was only PTX."""

from __future__ import annotations

from pathlib import Path

import click

from smforge.cli.flags import rewriting_options
from smforge.cli.rewriting import devices_of, run
from smforge.rewrite.records import Request


@click.command("repair")
@click.argument("subject", type=click.Path(path_type=Path))
@click.option(
    "--for",
    "words",
    metavar="DEVICES",
    multiple=True,
    required=True,
    help='The devices that get machine code: "12.0 12.1".',
)
@rewriting_options
@click.pass_context
def command(  # noqa: PLR0913, PLR0917 - one parameter per flag
    ctx: click.Context,
    subject: Path,
    words: tuple[str, ...],
    toolkit: str | None,
    ptxas: Path | None,
    no_load: bool,
    out: Path,
) -> int:
    """Write a copy of a wheel, a folder or a library with machine code made from its PTX.

    Every region that reaches a device only as PTX gets a cubin, assembled from exactly that PTX.
    Kernels without PTX stay missing: they are listed, and the exit code is 1. Without --toolkit
    the oldest assembler is taken that can do it, because its code loads on the oldest drivers.

    \b
    smforge repair _vllm_fa2_C.abi3.so --for 12.0 -o repaired.so
    """

    request = Request((), devices_of(words, "--for"), toolkit=toolkit, ptxas=ptxas)
    return run(subject, request, out, load=not no_load, quiet=ctx.obj["quiet"])
