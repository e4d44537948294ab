"""What a variant for one device saves against the one for all, from the records of their builds.

``python -m smforge.workflow.building.savings OUT --against cu130`` prints the table. Only what was
built is in it, and a build that used a cache, of layers or of compilations, has no time, because it
would mean nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from smforge.amounts import clock_text, size_text
from smforge.errors import UsageError
from smforge.publish.outputs import Output, find_outputs


@dataclass(frozen=True, slots=True)
class Measured:
    """One built cell."""

    variant: str
    platform: str
    wheels: int
    """Bytes of all wheels."""
    image: int | None
    """Bytes of the image's layout, compressed; None where none was built."""
    seconds: float | None
    """Wall time of the build; None where a step, or a tenth of the compilations, was cached."""


@dataclass(frozen=True, slots=True)
class Saving:
    """One cell and the cell that it is compared with."""

    cell: Measured
    whole: Measured


def measured(output: Output) -> Measured:
    """What the record says of a cell's size and time."""
    sizes = {artefact.path: artefact.size for artefact in output.record.artefacts}
    image = sum(size for path, size in sizes.items() if path.startswith("image/"))
    cached = any(
        target.cached or (target.compilations is not None and target.compilations.saved_time)
        for target in output.record.targets
    )
    return Measured(
        variant=output.variant,
        platform=output.platform,
        wheels=sum(size for path, size in sizes.items() if path.endswith(".whl")),
        image=image or None,
        seconds=None if cached else output.record.seconds,
    )


def savings(outputs: Sequence[Output], against: str) -> tuple[Saving, ...]:
    """Each cell beside that of `against` for its platform; cells without such a one are left out.

    Raises `UsageError` where `against` was not built at all.
    """
    cells = [measured(output) for output in outputs]
    wholes = {cell.platform: cell for cell in cells if cell.variant == against}
    if not wholes:
        raise UsageError(f"No output of the variant {against} is there to compare with.")
    return tuple(
        Saving(cell, wholes[cell.platform])
        for cell in cells
        if cell.variant != against and cell.platform in wholes
    )


def render_markdown(found: Sequence[Saving], against: str) -> str:
    """The table as it goes into the documentation."""
    lines = [
        f"| variant | platform | wheels | image | build | against {against} |",
        "|---|---|--:|--:|--:|---|",
    ]
    wholes = {saving.whole.platform: saving.whole for saving in found}
    lines += [f"| {' | '.join(_cells(whole))} | |" for whole in wholes.values()]
    lines += [
        f"| {' | '.join(_cells(saving.cell))} | {', '.join(_differences(saving))} |"
        for saving in found
    ]
    return "\n".join(lines)


def _cells(cell: Measured) -> tuple[str, ...]:
    return (
        cell.variant,
        cell.platform,
        size_text(cell.wheels),
        size_text(cell.image) if cell.image is not None else "not built",
        clock_text(cell.seconds) if cell.seconds is not None else "from the cache",
    )


def _differences(saving: Saving) -> Iterator[str]:
    pairs = (
        ("wheels", saving.cell.wheels, saving.whole.wheels),
        ("image", saving.cell.image, saving.whole.image),
        ("build", saving.cell.seconds, saving.whole.seconds),
    )
    for what, part, whole in pairs:
        if part is not None and whole:
            yield f"{what} {100 * (part - whole) / whole:+.0f} %"


@click.command()
@click.argument(
    "folders", metavar="OUT...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option("--against", required=True, metavar="VARIANT", help="The variant for all devices.")
def main(folders: tuple[Path, ...], against: str) -> None:
    """Print what the variants in OUT save against one of them, as Markdown."""
    table = render_markdown(savings(find_outputs(folders), against), against)
    sys.stdout.write(table + "\n")


if __name__ == "__main__":
    main()
