"""A part of a cell: the wheels of some of its components, without an image.

A cell is whole or it is not built, because its parts are released together. A part is for what can
be made sooner or elsewhere: vLLM's published wheel for linux/arm64 is slimmed on any CPU, while
LMCache beside it has to be compiled on an Arm machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from smforge.arch.requirement import Requirements
from smforge.errors import UsageError
from smforge.matrix.models import Document
from smforge.plan import bake
from smforge.plan.records import Cell, Dropped, PlannedComponent

ALL = "all"
"""In place of the names of components: every component that the cell has."""


def part_of(document: Document, cell: Cell, names: Sequence[str]) -> Cell:
    """The part of a cell that makes the wheels of these components.

    What is left out is among `dropped`: the other components, the image, and the required targets
    that only the other components are compiled for. Raises `UsageError` for a component that the
    cell does not have.
    """
    offered = [one.name for one in cell.components]
    for name in names:
        if name != ALL and name not in offered:
            raise UsageError(
                f"{cell.variant} for {cell.platform} has no component {name!r}.",
                remedy=f"It has {', '.join(offered)}; {ALL} is every one of them.",
            )
    kept = tuple(one for one in cell.components if ALL in names or one.name in names)
    lost = tuple(one for one in cell.components if one not in kept)
    targets = tuple(
        one
        for one in cell.requirements.targets
        if _asks_for(kept, str(one)) or not _asks_for(lost, str(one))
    )
    part = replace(
        cell,
        components=kept,
        image=None,
        part=True,
        requirements=Requirements(cell.requirements.devices, targets),
        dropped=(*cell.dropped, *_left_out(cell, lost, targets)),
        rewritten=tuple(one for one in cell.rewritten if one.component in {c.name for c in kept}),
    )
    return replace(
        part, targets=bake.targets_for(part), variables=bake.variables_for(document, part)
    )


def _asks_for(components: Sequence[PlannedComponent], target: str) -> bool:
    return any(target == str(one) for each in components for one in each.targets)


def _left_out(
    cell: Cell, lost: Sequence[PlannedComponent], targets: Sequence[object]
) -> Iterator[Dropped]:
    why = "only the wheels of other components are asked for (--wheels)"
    yield from (Dropped(one.name, why) for one in lost)
    for target in cell.requirements.targets:
        if target not in targets:
            yield Dropped(str(target), "only components that are left out are compiled for it")
    if cell.image is not None:
        yield Dropped("image", "only wheels are asked for (--wheels)")
