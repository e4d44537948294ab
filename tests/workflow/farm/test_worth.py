"""The order of cells that compile the same, and which of them wait for others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from smforge.arch.target import Target
from smforge.matrix.load import load
from smforge.plan.records import Cell
from smforge.plan.resolve import resolve
from smforge.workflow.farm.choice import shares
from smforge.workflow.farm.weights import Piece, cell_minutes, pieces_of, weight_of
from smforge.workflow.farm.worth import in_order, waiting

ROOT = Path(__file__).parents[3]
CELLS = resolve(load(ROOT / "versions.json")).cells
THOR = next(cell for cell in CELLS if cell.name == "cu130-thor-linux-arm64")
WORDS = ("9.0a", "10.0a", "11.0a", "12.0f", "12.1a")
RULE = json.loads(
    (ROOT / "builder/smforge/workflow/farm/data/waiting.json").read_text(encoding="utf-8")
)


def compiling(name: str, words: Sequence[str], selection: str = "full") -> Cell:
    """A cell that compiles FlashInfer for a list."""
    (flashinfer,) = [one for one in THOR.components if one.name == "flashinfer"]
    component = replace(
        flashinfer,
        archs=tuple(words),
        targets=tuple(map(Target.parse, words)),
        settings={"selection": selection},
    )
    return replace(THOR, variant=name, components=(component,))


LISTS = st.lists(
    st.tuples(
        st.lists(st.sampled_from(WORDS), min_size=1, unique=True),
        st.sampled_from(("core", "common", "full")),
    ),
    max_size=9,
)


def cells_of(lists: Sequence[tuple[list[str], str]]) -> tuple[Cell, ...]:
    return tuple(compiling(f"v{place}", *one) for place, one in enumerate(lists))


def pieces(cell: Cell) -> set[Piece]:
    found = pieces_of(cell)
    assert found is not None
    return set(found)


def minutes(cell: Cell, of: set[Piece]) -> float:
    found = pieces_of(cell)
    assert found is not None
    return sum(one for piece, one in found.items() if piece in of)


@given(LISTS)
def test_the_order_keeps_every_cell_and_puts_those_together_that_share(
    lists: list[tuple[list[str], str]],
) -> None:
    cells = cells_of(lists)
    ordered = in_order(cells)
    assert sorted(cell.name for cell in ordered) == sorted(cell.name for cell in cells)
    for before, after in pairwise(ordered):
        if pieces(before).isdisjoint(pieces(after)):
            continue
        assert (weight_of(before) or 0) <= (weight_of(after) or 0)
    # Once a group has ended, nothing that shares with it follows.
    for place, cell in enumerate(ordered):
        sharing = [
            index for index, one in enumerate(ordered) if not pieces(one).isdisjoint(pieces(cell))
        ]
        between = ordered[min(sharing) : max(sharing) + 1]
        selections = {piece.settings for one in between for piece in pieces(one)}
        assert selections == {piece.settings for piece in pieces(cell)}, place


def test_cells_that_share_nothing_stay_where_they_are() -> None:
    alone = [compiling(word.replace(".", ""), [word]) for word in reversed(WORDS)]
    assert in_order(alone) == tuple(alone)
    assert in_order(()) == ()


@given(LISTS, st.randoms(use_true_random=False))
def test_who_waits_saves_enough_and_delays_little(
    lists: list[tuple[list[str], str]], random: Random
) -> None:
    cells = {cell.name: cell for cell in cells_of(lists)}
    found = waiting(tuple(cells.values()))
    waits = {one.cell for one in found}
    for one in found:
        own = cells[one.cell]
        assert one.after
        assert waits.isdisjoint(one.after), "two stages"
        others = set().union(*(pieces(cells[name]) for name in one.after))
        assert one.saved == minutes(own, others)
        assert one.saved >= RULE["least_minutes"] * len(one.after)
        assert one.whole == weight_of(own)
        before = max(minutes(cells[name], pieces(cells[name])) for name in one.after)
        alone = one.whole - cell_minutes()
        delay = before + alone - one.saved - max(before, alone)
        assert delay <= RULE["most_delay"] * one.saved
    mixed = list(cells.values())
    random.shuffle(mixed)
    assert {one.cell: one for one in waiting(mixed)} == {one.cell: one for one in found}


def test_a_cell_waits_for_the_lighter_one_that_it_contains() -> None:
    thor = compiling("thor", ["11.0a"])
    every = compiling("every", WORDS)
    spark = compiling("spark", ["12.1a"])
    (one,) = waiting((every, thor, spark))
    assert one.cell == every.name
    assert one.after == (spark.name, thor.name)
    assert one.saved == 2 * (one.whole - cell_minutes()) / len(WORDS)


def test_little_work_is_not_waited_for() -> None:
    small = [compiling(name, ["11.0a"], "core") for name in ("one", "two")]
    assert waiting(small) == ()


def test_another_base_compiler_or_cpu_shares_nothing() -> None:
    thor = compiling("thor", ["11.0a"])
    same = compiling("same", ["11.0a"])
    assert len(waiting((thor, same))) == 1
    for other in (
        replace(same, base=replace(same.base, suite="bookworm")),
        replace(same, toolkit=replace(same.toolkit, cuda="13.1.0")),
        replace(same, platform="linux/amd64"),
    ):
        assert waiting((thor, other)) == ()


def test_cells_that_share_go_to_one_machine_where_that_makes_it_lighter() -> None:
    both = [compiling(f"b{place}", ["12.0f", "12.1a"]) for place in range(2)]
    other = compiling("other", ["9.0a"])
    names = [sorted(cell.variant for cell in share) for share in shares((*both, other), 2)]
    assert sorted(names) == [["b0", "b1"], ["other"]]


def test_where_a_cost_is_not_known_nobody_waits() -> None:
    odd = compiling("odd", ["11.0a"], "unheard-of")
    assert weight_of(odd) is None
    assert waiting((odd, compiling("a", ["11.0a"]), compiling("b", ["11.0a"]))) == ()
