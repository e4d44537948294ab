"""Laws that every verdict keeps, whatever is embedded where."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from smforge.arch.requirement import Requirements
from smforge.arch.target import ComputeCapability
from smforge.findings import Level, Outcome
from smforge.inventory.records import FileInventory, Inventory, Origin
from smforge.verdict.judge import judge
from smforge.verdict.reach import CANNOT_RUN, NOT_KNOWN
from smforge.verdict.reading import Reading
from smforge.verdict.records import Verdict
from smforge.verdict.request import AuditRequest

TARGETS = ("sm_80", "sm_90", "sm_90a", "sm_120", "sm_120f", "sm_121a", "compute_80", "compute_120f")
DEVICES = tuple(ComputeCapability.parse(one) for one in ("8.6", "9.0", "12.0", "12.1"))

Drawn = list[tuple[Origin, bool, list[tuple[list[tuple[str, tuple[str, ...]]], frozenset[str]]]]]

kernels = st.frozensets(st.sampled_from("abc")).map(lambda names: tuple(sorted(names)))
objects = st.lists(st.tuples(st.sampled_from(TARGETS), kernels), min_size=1, max_size=4)
regions = st.tuples(objects, st.frozensets(st.sampled_from("abc"), max_size=2))
files = st.lists(
    st.tuples(
        st.sampled_from([Origin.FATBIN, Origin.EMBEDDED, Origin.RAW]),
        st.booleans(),
        st.lists(regions, min_size=1, max_size=3),
    ),
    max_size=3,
)


def inventory(
    drawn: Drawn,
    make_file: Callable[..., FileInventory],
    make_inventory: Callable[..., Inventory],
) -> Inventory:
    made = []
    for number, (origin, loaded, held) in enumerate(drawn):
        file = make_file(f"{number}.so", *(tuple(codes) for codes, _ in held), origin=origin)
        marked = tuple(
            region._replace(
                unregistered=unregistered if origin is Origin.FATBIN else frozenset(),
                loaded_by_program=loaded and origin is Origin.EMBEDDED,
            )
            for region, (_, unregistered) in zip(file.regions, held, strict=True)
        )
        made.append(file._replace(regions=marked))
    return make_inventory(*made)


def judged(found: Inventory, devices: tuple[ComputeCapability, ...]) -> Verdict:
    return judge(Reading(found), AuditRequest(Requirements(devices)))


@given(drawn=files)
def test_every_kernel_is_in_one_state_on_each_device(
    make_file: Callable[..., FileInventory],
    make_inventory: Callable[..., Inventory],
    drawn: Drawn,
) -> None:
    verdict = judged(inventory(drawn, make_file, make_inventory), DEVICES)
    kernels = sum(group.count for view in verdict.view.files for group in view.groups)
    assert {one.tally.total for one in verdict.devices} == {kernels}


@given(drawn=files, device=st.sampled_from(DEVICES))
def test_a_pass_leaves_nothing_that_cannot_run(
    make_file: Callable[..., FileInventory],
    make_inventory: Callable[..., Inventory],
    drawn: Drawn,
    device: ComputeCapability,
) -> None:
    verdict = judged(inventory(drawn, make_file, make_inventory), (device,))
    views = [view.devices[device] for view in verdict.view.files]
    failing = any(view.names(*CANNOT_RUN) for view in views)
    runs = any(view.tally.runs for view in views)
    errors = [one for one in verdict.findings if one.level is Level.ERROR]
    assert (verdict.outcome is Outcome.PASS) is (bool(views) and not errors)
    if verdict.outcome is Outcome.PASS:
        assert runs
        assert not failing
    if verdict.outcome is Outcome.UNDETERMINED:
        unjudged = any(not view.groups for view in verdict.view.files)
        assert unjudged or any(view.names(*NOT_KNOWN) for view in views)


@given(drawn=files, device=st.sampled_from(DEVICES))
def test_code_of_its_own_for_every_kernel_makes_a_device_native(
    make_file: Callable[..., FileInventory],
    make_inventory: Callable[..., Inventory],
    drawn: Drawn,
    device: ComputeCapability,
) -> None:
    """Each region gets one more object, for the device itself and with every kernel."""
    everything = [
        (origin, loaded, [([(f"sm_{device.number}", tuple("abc"))], gone) for _, gone in held])
        for origin, loaded, held in drawn
    ]
    verdict = judged(inventory(everything, make_file, make_inventory), (device,))
    assert verdict.devices[0].tally.native == verdict.devices[0].tally.total
    assert verdict.outcome is (Outcome.PASS if drawn else Outcome.NOTHING)
