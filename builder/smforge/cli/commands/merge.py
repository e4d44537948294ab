"""``smforge merge``: the outputs of several machines as one set."""

from __future__ import annotations

import os
from pathlib import Path

import click

from smforge.bake.host.settings import HostSettings
from smforge.cli.flags import matrix_option, policy_option
from smforge.cli.output import print_result
from smforge.matrix.place import require_bake_file
from smforge.oci.credentials import configuration_folder
from smforge.workflow.building.messages import Messages
from smforge.workflow.building.results import LookAhead
from smforge.workflow.building.settings import BuildSettings
from smforge.workflow.farm.cells import cells_of
from smforge.workflow.farm.choice import Choice, Shard
from smforge.workflow.farm.merging import FromStores, Merged, is_store, merge
from smforge.workflow.farm.stores.naming import open_store


@click.command("merge")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    "out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="The new directory, laid out as that of smforge build. It must not exist.",
)
@click.option(
    "--only",
    multiple=True,
    metavar="CELL",
    help="Where a SOURCE is a store: only this cell, or every cell of this variant; repeatable.",
)
@policy_option("A policy that the cells were built with, where a SOURCE is a store; repeatable.")
@click.option(
    "--preflight",
    "look_ahead",
    type=click.Choice(["stop", "record", "off"]),
    default="stop",
    show_default=True,
    help="Where a SOURCE is a store: the results to take, as smforge build takes them.",
)
@matrix_option
@click.pass_context
def command(  # noqa: PLR0913, PLR0917  # one per option
    ctx: click.Context,
    sources: tuple[str, ...],
    out: Path,
    only: tuple[str, ...],
    policies: tuple[Path, ...],
    look_ahead: str,
    config: Path | None,
) -> int:
    """Join the outputs of several machines into one verified set.

    SOURCE is what smforge build --out wrote to, or a store, which smforge build --store wrote to:
    registry:HOST/NAME or a directory. Every file is copied and compared with its record, every
    audit has passed, all cells were built from the same inputs, a cell that is there twice has the
    same artefacts, and no cell or share is missing that an output knows of. Of a store the cells of
    the matrix are taken, as they would be built now, and none of them may be missing.
    OUT then is what one machine would have made, and smforge index OUT makes its index. Exit codes:
    0 joined, 1 a cell is missing or has not passed, 2 nothing is there, 4 what is there cannot be
    joined, or a store does not answer.

    \b
    smforge merge share1 share2 share3 -o out
    smforge merge registry:registry.example/team/cells -o out && smforge index out
    """
    messages = Messages(quiet=ctx.obj["quiet"], verbose=ctx.obj["verbose"])
    named = tuple(name for name in sources if is_store(name))
    folders = [Path(name) for name in sources if name not in named]
    brought = None
    if named:
        host = HostSettings.from_environment(os.environ)
        # Without a name the whole matrix is meant, not its default variant.
        choice = Choice(only=only, shard=None if only else Shard(1, 1))
        matrix, cells = cells_of(config or ctx.obj["config"], choice, host.versions)
        require_bake_file(matrix)
        settings = BuildSettings(
            matrix, out, host, messages, LookAhead(look_ahead), policies=policies
        )
        logins = configuration_folder()
        stores = tuple(open_store(name, logins, messages.announce) for name in named)
        brought = FromStores(settings, tuple(cells), stores)
    print_result(_lines(merge(folders, out, brought), out))
    return 0


def _lines(merged: Merged, out: Path) -> str:
    several = len({node for cell in merged.cells for node in cell.record.nodes}) > 1
    lines = [
        f"{cell.variant} {cell.platform}: {len(cell.record.artefacts)} files, from {cell.origin}"
        + (f", built by {', '.join(cell.record.nodes) or 'an unknown node'}" if several else "")
        for cell in merged.cells
    ]
    count = len(merged.cells)
    cells = "1 cell" if count == 1 else f"{count} cells"
    return "\n".join([*lines, f"{out}: {cells}, all verified"])
