"""The order of slimming and repairing, for any region: what is left, and that twice is once.

These are the choices alone, with targets of every kind; tests of real libraries are in
test_rewrite.py.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from hypothesis import example, given, settings
from hypothesis import strategies as st

from smforge.arch.target import ComputeCapability, Suffix, Target
from smforge.inventory.records import Kind
from smforge.rewrite.choice import Code, assemblies, needed

Region = tuple[Code, ...]
Step = Callable[[Region], Region]
KNOWN = [
    (5, 2),
    (7, 5),
    (8, 0),
    (8, 6),
    (8, 9),
    (9, 0),
    (10, 0),
    (10, 3),
    (11, 0),
    (12, 0),
    (12, 1),
]
CAPABILITIES = [ComputeCapability(*pair) for pair in KNOWN]


def targets() -> st.SearchStrategy[Target]:
    return st.builds(Target, st.sampled_from(CAPABILITIES), st.sampled_from(list(Suffix)))


regions = st.lists(
    st.builds(Code, st.sampled_from([Kind.CUBIN, Kind.PTX, Kind.LTO_IR]), targets()), max_size=8
).map(tuple)
devices = st.lists(st.sampled_from(CAPABILITIES), min_size=1, max_size=4, unique=True).map(tuple)


def slimmed(region: Region, kept: tuple[ComputeCapability, ...], *, keep_ptx: bool) -> Region:
    stay = needed(region, kept, keep_ptx=keep_ptx)
    return tuple(code for number, code in enumerate(region) if number in stay)


def repaired(region: Region, served: tuple[ComputeCapability, ...]) -> Region:
    made = (Code(Kind.CUBIN, one.target) for one in assemblies(region, served))
    return (*region, *made)


def steps(kept: tuple[ComputeCapability, ...], *, keep_ptx: bool = False) -> tuple[Step, Step]:
    return partial(slimmed, kept=kept, keep_ptx=keep_ptx), partial(repaired, served=kept)


@given(regions, devices, st.booleans())
@settings(max_examples=250)
def test_each_step_twice_is_once(
    region: Region, kept: tuple[ComputeCapability, ...], keep_ptx: bool
) -> None:
    slim, repair = steps(kept, keep_ptx=keep_ptx)
    assert slim(slim(region)) == slim(region)
    assert repair(repair(region)) == repair(region)


@given(regions, devices)
@settings(max_examples=250)
def test_with_slimming_last_it_does_not_matter_what_was_done_before(
    region: Region, kept: tuple[ComputeCapability, ...]
) -> None:
    slim, repair = steps(kept)
    at_once = slim(repair(region))
    assert set(slim(repair(slim(region)))) == set(at_once)
    assert set(repair(at_once)) == set(at_once)


@given(regions, devices)
@settings(max_examples=250)
def test_with_ptx_kept_the_order_does_not_matter(
    region: Region, kept: tuple[ComputeCapability, ...]
) -> None:
    slim, repair = steps(kept, keep_ptx=True)
    assert set(repair(slim(region))) == set(slim(repair(region)))


@given(regions, devices)
@example((Code(Kind.PTX, Target(ComputeCapability(8, 0))),), (ComputeCapability(12, 1),))
@settings(max_examples=250)
def test_repairing_last_differs_by_ptx_that_no_kept_device_needs_any_more(
    region: Region, kept: tuple[ComputeCapability, ...]
) -> None:
    """Repairing takes nothing out, as it is not told that other devices are not wanted."""
    slim, repair = steps(kept)
    more = set(repair(slim(region))) - set(slim(repair(region)))
    assert set(slim(repair(region))) <= set(repair(slim(region)))
    assert all(code.kind is Kind.PTX for code in more)
    assert more.isdisjoint(slim(repair(slim(region))))
