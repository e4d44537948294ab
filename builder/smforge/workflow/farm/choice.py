"""Which cells of a plan are meant: by platform, by name, and one machine's share of them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from smforge.errors import UsageError
from smforge.plan.records import Cell
from smforge.workflow.farm.weights import weight_of

_SHARD = re.compile(r"(?P<number>[0-9]{1,5})/(?P<count>[0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several shares: the second of three is ``2/3``."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


@dataclass(frozen=True, slots=True)
class Choice:
    """What a command line asks for."""

    variants: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    """Only these platforms; all where none is named."""
    only: tuple[str, ...] = ()
    """Only these cells, by name; all where none is named."""
    shard: Shard | None = None
    wheels: tuple[str, ...] = ()
    """Of each cell only the wheels of these components; the whole cell where none is named."""


def parse_shard(text: str) -> Shard:
    """Read ``2/3``. Raises `UsageError` for anything else."""
    found = _SHARD.fullmatch(text)
    if found is not None:
        shard = Shard(int(found["number"]), int(found["count"]))
        if 1 <= shard.number <= shard.count:
            return shard
    raise UsageError(
        f"{text!r} is no share.", remedy="Write which of how many: 1/3, 2/3, 3/3 on three machines."
    )


def chosen(cells: Sequence[Cell], choice: Choice) -> tuple[Cell, ...]:
    """The cells that a choice means, in their order.

    Raises `UsageError` where a platform or a name is none of these cells', and where a share is
    empty because there are fewer cells than shares.
    """
    found = _named(_on_platforms(tuple(cells), choice.platforms), choice.only)
    if choice.shard is None:
        return found
    share = shares(found, choice.shard.count)[choice.shard.number - 1]
    if not share:
        raise UsageError(
            f"Share {choice.shard} is empty: there are {len(found)} cells.",
            remedy="Divide them into fewer shares.",
        )
    return share


def shares(cells: Sequence[Cell], count: int) -> tuple[tuple[Cell, ...], ...]:
    """Divide cells into `count` shares of about the same cost.

    The heaviest cell goes first, always to the share that is lightest so far. Weights come from
    the cells and from smforge's own data alone, so every machine divides one matrix alike. Where
    the cost of any cell is not known, all count the same.
    """
    known = {cell.name: weight_of(cell) for cell in cells}
    equal = any(weight is None for weight in known.values())
    weights = {name: 1.0 if equal else weight or 0.0 for name, weight in known.items()}
    loads = [0.0] * count
    place: dict[str, int] = {}
    for name in sorted(weights, key=lambda one: (-weights[one], one)):
        lightest = min(range(count), key=lambda index: (loads[index], index))
        place[name] = lightest
        loads[lightest] += weights[name]
    return tuple(
        tuple(cell for cell in cells if place[cell.name] == index) for index in range(count)
    )


def _on_platforms(cells: tuple[Cell, ...], platforms: Sequence[str]) -> tuple[Cell, ...]:
    offered = {cell.platform for cell in cells}
    for platform in platforms:
        if platform not in offered:
            raise UsageError(
                f"None of these variants is built for {platform!r}.",
                remedy=f"They are built for {', '.join(sorted(offered))}.",
            )
    wanted = set(platforms) or offered
    return tuple(cell for cell in cells if cell.platform in wanted)


def _named(cells: tuple[Cell, ...], names: Sequence[str]) -> tuple[Cell, ...]:
    if not names:
        return cells
    wanted = {cell.name for name in names for cell in with_name(cells, name)}
    return tuple(cell for cell in cells if cell.name in wanted)


def with_name(cells: Sequence[Cell], name: str) -> tuple[Cell, ...]:
    """The cell of this name (``cu130-linux-arm64``), or every cell of the variant of this name.

    Raises `UsageError` where there is none.
    """
    found = tuple(cell for cell in cells if name in {cell.name, cell.variant})
    if found:
        return found
    near = difflib.get_close_matches(name, [cell.name for cell in cells], n=1, cutoff=0.0)
    raise UsageError(
        f"There is no cell {name!r}.",
        remedy=f"Cells are called VARIANT-PLATFORM, such as {', '.join(near)}." if near else None,
    )
