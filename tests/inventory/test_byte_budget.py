"""Threads that share a bound on memory."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from smforge.inventory.byte_budget import ByteBudget


@given(st.lists(st.integers(0, 15), max_size=40))
def test_the_bound_holds_and_everybody_gets_a_turn(sizes):
    room, lock = ByteBudget(10), threading.Lock()
    held: list[int] = []
    most: list[tuple[int, int]] = []

    def work(size: int) -> None:
        with room.hold(size):
            with lock:
                held.append(size)
                most.append((sum(held), len([one for one in held if one])))
            with lock:
                held.remove(size)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, sizes))
    assert len(most) == len(sizes)
    # More than all the room is given only to one alone.
    assert all(total <= 10 or count == 1 for total, count in most)


def test_an_error_gives_the_room_back():
    room = ByteBudget(10)
    for _ in range(3):
        try:
            with room.hold(10):
                raise ValueError
        except ValueError:
            continue
    with room.hold(10):
        pass
