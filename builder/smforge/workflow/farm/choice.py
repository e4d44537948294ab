"""Which cells of a plan are meant: by platform, by name, and one machine's share of them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from smforge.errors import UsageError
from smforge.plan.records import Cell
from smforge.workflow.farm.weights import Piece, cell_minutes, pieces_of

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

    The heaviest cell goes first, always to the share that is lightest with it. What two cells of a
    share compile alike counts once, because the second finds it in the machine's compile cache, and
    a share for which a cell is less work is preferred.
    Weights come from the cells and from smforge's own data alone, so every machine divides one
    matrix alike. Where the cost of any cell is not known, all count the same.
    """
    divided = [_Share() for _ in range(count)]
    weighed = _weighed(cells)
    for name in sorted(weighed, key=lambda one: (-sum(weighed[one].values()), one)):
        min(divided, key=lambda share: share.worse_by(weighed[name])).add(name, weighed[name])
    return tuple(tuple(cell for cell in cells if cell.name in share.names) for share in divided)


class _Share:
    """The cells of one machine, and what they compile."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self._load = 0.0
        self._pieces: set[Piece | str] = set()

    def worse_by(self, pieces: Mapping[Piece | str, float]) -> float:
        """CPU minutes of the share with one cell more, and once more what the cell adds."""
        more = self._more(pieces)
        return self._load + more + more

    def _more(self, pieces: Mapping[Piece | str, float]) -> float:
        return sum(minutes for piece, minutes in pieces.items() if piece not in self._pieces)

    def add(self, name: str, pieces: Mapping[Piece | str, float]) -> None:
        self._load += self._more(pieces)
        self._pieces |= pieces.keys()
        self.names.add(name)


def _weighed(cells: Sequence[Cell]) -> dict[str, dict[Piece | str, float]]:
    """What each cell takes: its pieces, and under its own name what it shares with no other."""
    known = {cell.name: pieces_of(cell) for cell in cells}
    if any(pieces is None for pieces in known.values()):
        return {name: {name: 1.0} for name in known}
    found: dict[str, dict[Piece | str, float]] = {name: {name: cell_minutes()} for name in known}
    for name, pieces in known.items():
        found[name].update((pieces or {}).items())
    return found


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
