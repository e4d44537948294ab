"""The state of a cell: one answer for every form, and every kernel counted once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smforge.report import model
from smforge.report.state import (
    SHOWN,
    Counts,
    State,
    brief,
    counts_of,
    device_state,
    state_of,
    together,
    words,
)


def tally(**counts: int) -> model.Tally:
    found = {"native": 0, "ptx": 0, "foreign": 0, "missing": 0, "unreachable": 0, **counts}
    total = sum(found[one] for one in ("native", "ptx", "foreign", "missing", "unreachable"))
    return model.Tally(kernels=total, **found)


@pytest.mark.parametrize(
    ("counts", "state", "text"),
    [
        ({"native": 5}, State.NATIVE, "● native"),
        ({"native": 5, "foreign": 2}, State.NATIVE, "● native"),
        ({"native": 5, "ptx": 2}, State.PTX, "P 2 PTX"),
        ({"ptx": 1234}, State.PTX, "P 1,234 PTX"),
        ({"native": 5, "missing": 3}, State.PARTIAL, "◐ 3 missing"),
        ({"ptx": 5, "missing": 3}, State.PARTIAL, "◐ 3 missing"),
        ({"missing": 3, "foreign": 1}, State.NONE, "✗ 3 missing"),
        ({"foreign": 3}, State.FOREIGN, "- for others"),
        ({}, State.EMPTY, ""),
        ({"unreachable": 2}, State.UNREACHABLE, "u unreachable"),
        ({"native": 1, "unreachable": 2}, State.NATIVE, "● native"),
        ({"foreign": 1, "unreachable": 2}, State.FOREIGN, "- for others"),
        ({"missing": 2, "unclear": 2}, State.UNCLEAR, "? 2 not known"),
        ({"missing": 3, "unclear": 2}, State.NONE, "✗ 1 missing"),
        # What a policy excuses hides nothing else, and is hidden by nothing.
        (
            {"native": 1, "ptx": 20, "missing": 3, "exempt": 20, "exempt_ptx": 20},
            State.PARTIAL,
            "◐ 3 missing, 20 excused",
        ),
        ({"missing": 5, "exempt": 5}, State.EXCUSED, "e 5 excused"),
        ({"missing": 5, "exempt": 4}, State.NONE, "✗ 1 missing, 4 excused"),
        ({"native": 1, "missing": 5, "exempt": 5}, State.NATIVE, "● native, 5 excused"),
        ({"ptx": 20, "exempt": 20, "exempt_ptx": 20}, State.PTX, "P 20 excused"),
        ({"ptx": 21, "exempt": 20, "exempt_ptx": 20}, State.PTX, "P 1 PTX, 20 excused"),
        (
            {"native": 1, "ptx": 2, "exempt": 2, "exempt_ptx": 2}, State.NATIVE,
            "● native, 2 excused",
        ),
        # As reports of older releases have it, without exempt_ptx.
        ({"ptx": 20, "exempt": 20}, State.PTX, "P 20 excused"),
    ],
)  # fmt: skip
def test_a_cell_has_one_state(counts: dict[str, int], state: State, text: str) -> None:
    found = counts_of(tally(**counts))
    assert (state_of(found), brief(found)) == (state, text)


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        (Counts(native=80, ptx=3, missing=12), "12 missing, 3 PTX, 80 native"),
        (Counts(native=80), "all native"),
        (Counts(excused=1113), "all excused"),
        (Counts(native=80, excused=1113), "80 native, 1,113 excused"),
        (Counts(unclear=1, foreign=2), "1 not known, 2 for others"),
        (Counts(native=7816, unreachable=2), "7,816 native, 2 unreachable"),
        (Counts(), ""),
    ],
)
def test_a_device_in_words_contradicts_nothing(counts: Counts, text: str) -> None:
    assert words(counts) == text


NUMBERS = st.integers(0, 9)


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS, st.data())
def test_every_kernel_is_counted_once(
    native: int, ptx: int, foreign: int, missing: int, data: st.DataObject
) -> None:
    excused_ptx = data.draw(st.integers(0, ptx))
    excused = data.draw(st.integers(0, missing))
    unclear = data.draw(st.integers(0, missing - excused))
    whole = tally(
        native=native,
        ptx=ptx,
        foreign=foreign,
        missing=missing,
        exempt=excused + excused_ptx,
        exempt_ptx=excused_ptx,
        unclear=unclear,
    )
    counts = counts_of(whole)
    assert counts.total == whole.kernels
    assert min(getattr(counts, one) for one in Counts.__slots__) >= 0
    assert (state_of(counts) in {State.PARTIAL, State.NONE}) == (missing > excused + unclear)
    assert together([counts, counts]).total == 2 * counts.total


@pytest.mark.parametrize(
    ("verdict", "counts", "state"),
    [
        ("none", Counts(), State.EMPTY),
        ("none", Counts(foreign=2), State.NONE),
        ("none", Counts(unclear=2), State.UNCLEAR),
        ("none", Counts(unclear=2, missing=1), State.NONE),
        ("partial", Counts(native=9, unclear=2), State.UNCLEAR),
        ("partial", Counts(native=9, unclear=2, missing=1), State.PARTIAL),
        ("native", Counts(native=9, excused=1), State.NATIVE),
    ],
)
def test_a_device_is_not_said_to_lack_what_is_not_known_to_be_missing(
    verdict: str, counts: Counts, state: State
) -> None:
    assert device_state(verdict, counts) is state


def test_every_state_is_shown_by_a_mark_of_its_own() -> None:
    assert set(SHOWN) == set(State)
    assert len({one.mark for one in SHOWN.values()}) == len(State)
    assert all(len(one.mark) == 1 for one in SHOWN.values())
