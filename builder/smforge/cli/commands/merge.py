"""``smforge merge``: the outputs of several machines as one set."""

from __future__ import annotations

from pathlib import Path

import click

from smforge.cli.output import print_result
from smforge.workflow.farm.merging import Merged, merge


@click.command("merge")
@click.argument(
    "folders",
    metavar="DIR...",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
)
@click.option(
    "-o",
    "--output",
    "out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="The new directory, laid out as that of smforge build. It must not exist.",
)
def command(folders: tuple[Path, ...], out: Path) -> int:
    """Join the outputs of several machines into one verified set.

    DIR is what smforge build --out wrote to. Every file is copied and compared with its record,
    every audit has passed, all cells were built from the same inputs, a cell that is there twice
    has the same artefacts, and no cell or share is missing that a DIR knows of. OUT then is what
    one machine would have made, and smforge index OUT makes its index. Exit codes: 0 joined, 1 a
    cell is missing or has not passed, 2 nothing is there, 4 what is there cannot be joined.

    \b
    smforge merge share1 share2 share3 -o out
    smforge merge share1 share2 -o out && smforge index out
    """
    print_result(_lines(merge(folders, out), out))
    return 0


def _lines(merged: Merged, out: Path) -> str:
    several = len({node for cell in merged.cells for node in cell.record.nodes}) > 1
    lines = [
        f"{cell.variant} {cell.platform}: {len(cell.record.artefacts)} files, from {cell.source}"
        + (f", built by {', '.join(cell.record.nodes) or 'an unknown node'}" if several else "")
        for cell in merged.cells
    ]
    count = len(merged.cells)
    cells = "1 cell" if count == 1 else f"{count} cells"
    return "\n".join([*lines, f"{out}: {cells}, all verified"])
