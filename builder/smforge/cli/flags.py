"""The flags that several commands share, each defined once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from smforge.cli.output import OutputType
from smforge.errors import UsageError

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

matrix_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="The matrix to read.  [default: versions.json]",
)
"""``--config FILE``, which may stand before the command too."""


def output_option(
    formats: Sequence[str], *names: str, default: str = "table"
) -> Callable[[Decorated], Decorated]:
    """``-o FORMAT[=FILE]`` or ``-o FILE``; `names` replace ``-o, --output``."""
    offered = " or ".join((", ".join(formats[:-1]), formats[-1]))
    return click.option(
        *(names or ("-o", "--output")),
        "outputs",
        type=OutputType(formats),
        multiple=True,
        default=(default,),
        help=f"{offered}, to standard output or to a file; -o report.json says the format too. "
        "Repeatable.",
    )


summary_option = click.option(
    "--summary", is_flag=True, help="One line per subject in place of the table: -o summary."
)
"""``--summary``, of commands that report subjects."""


def policy_option(text: str) -> Callable[[Decorated], Decorated]:
    """``--policy FILE``, repeatable; `text` is its help."""
    return click.option(
        "--policy",
        "policies",
        metavar="FILE",
        type=click.Path(path_type=Path),
        multiple=True,
        help=text,
    )


builder_option = click.option(
    "--builder",
    metavar="NAME",
    envvar="BUILDX_BUILDER",
    help="The builder of buildx, with all its nodes.  [default: the one that buildx uses]",
)
"""``--builder NAME``, of commands that ask a builder."""


_CHOICE = (
    click.option(
        "--only",
        multiple=True,
        metavar="CELL",
        help="Only this cell (cu130-linux-arm64), or the cells of this variant; repeatable.",
    ),
    click.option(
        "--shard",
        metavar="I/N",
        help="Only the I-th of N shares of about the same cost: one share for each machine.",
    ),
)


def choice_options(command: Decorated) -> Decorated:
    """The flags that choose some cells of a matrix."""
    for option in reversed(_CHOICE):
        command = option(command)
    return command


def outputs_argument(command: Decorated) -> Decorated:
    """``[OUT]...``, what builds wrote to, of commands that publish it; ``out`` without one."""
    return click.argument(
        "outputs_of",
        metavar="[OUT]...",
        nargs=-1,
        type=click.Path(path_type=Path, file_okay=False),
        callback=lambda _ctx, _argument, named: named or (Path("out"),),
    )(command)


_REWRITING = (
    click.option("--toolkit", metavar="RELEASE", help="Whose assembler makes machine code: 13.0."),
    click.option("--ptxas", type=click.Path(path_type=Path), help="An assembler that is here."),
    click.option(
        "--no-load", is_flag=True, help="Do not load the libraries to prove that they load."
    ),
    click.option(
        "-o",
        "--output",
        "out",
        type=click.Path(path_type=Path),
        required=True,
        help="The new file or folder; for a wheel also a folder that exists.",
    ),
)


def rewriting_options(command: Decorated) -> Decorated:
    """The flags that ``slim`` and ``repair`` share."""
    for option in reversed(_REWRITING):
        command = option(command)
    return command


def require_only_resume(ctx: click.Context) -> None:
    """Raise `UsageError` for arguments that a resumed run has from its journal."""
    accepted = {"resume", "verify", "out", "wait", "outputs"}
    stated = [
        name
        for name in ctx.params
        if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    ]
    if others := sorted(set(stated) - accepted):
        raise UsageError(
            f"--resume and {', '.join(others)}: a resumed run has its arguments from its journal.",
            remedy="Name --out, --wait and -o alone beside --resume.",
        )
