"""Kernels are grouped as the runtime looks them up: by name, within one region of one file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smforge.arch.coverage import cubin_runs_on, ptx_assembles_for
from smforge.arch.devices import current_devices
from smforge.arch.target import ComputeCapability, Suffix
from smforge.inventory.records import FileInventory, Kind, Origin, Region
from smforge.verdict.kernels import group_kernels
from smforge.verdict.reach import Reach, reach

MakeFile = Callable[..., FileInventory]
TARGETS = (
    "sm_80",
    "sm_90a",
    "sm_100f",
    "sm_120",
    "sm_120f",
    "sm_121a",
    "compute_80",
    "compute_90a",
)


def states(file: FileInventory, device: str) -> dict[str, int]:
    counted = Counter[str]()
    for group in group_kernels(file):
        counted[reach(group.embedded, ComputeCapability.parse(device), None).value] += group.count
    return dict(counted)


def test_a_namesake_in_another_region_does_not_help(make_file: MakeFile) -> None:
    file = make_file("a.so", (("sm_80", ("k",)),), (("sm_120", ("k",)),))
    assert states(file, "12.0") == {"native": 1, "missing": 1}


def test_one_region_holds_a_kernel_for_several_devices(make_file: MakeFile) -> None:
    file = make_file("a.so", (("sm_80", ("k",)), ("sm_120", ("k",))))
    assert states(file, "12.0") == {"native": 1}


@pytest.mark.parametrize(
    ("codes", "device", "state"),
    [
        (["sm_120f"], "12.1", "native"),
        (["sm_120a"], "12.1", "foreign"),
        (["sm_120"], "12.1", "native"),
        (["sm_90", "compute_80"], "12.1", "ptx"),
        (["compute_90a"], "12.1", "foreign"),
        (["sm_90a", "sm_80"], "12.1", "missing"),
        (["sm_100f"], "11.0", "foreign"),
        (["sm_101a"], "11.0", "foreign"),
        (["compute_101a"], "11.0", "ptx"),
    ],
)
def test_states_of_the_specification(
    make_file: MakeFile, codes: list[str], device: str, state: str
) -> None:
    file = make_file("a.so", tuple((code, ("k",)) for code in codes))
    assert states(file, device) == {state: 1}


def test_code_without_kernels_is_no_kernel(make_file: MakeFile) -> None:
    assert group_kernels(make_file("a.so", (("sm_52", ()),), (("sm_80", ("k",)),))) != ()
    assert states(make_file("a.so", (("sm_52", ()),)), "12.0") == {}


def test_relocatable_code_counts_only_where_nothing_is_linked(make_file: MakeFile) -> None:
    linked = make_file("a.so", (("sm_80", ("k",)),)).regions
    loose = make_file("a.so", (("sm_120", ("k",)),), origin=Origin.RELOCATABLE).regions
    both = FileInventory("a.so", 1, None, (*linked, *loose))
    alone = FileInventory("a.o", 1, None, loose)
    assert states(both, "12.0") == {"missing": 1}
    assert states(alone, "12.0") == {"native": 1}


def test_each_member_of_an_archive_stands_for_itself(make_file: MakeFile) -> None:
    (linked,) = make_file("", (("sm_80", ("k",)),)).regions
    (loose,) = make_file("", (("sm_120", ("r",)),), origin=Origin.RELOCATABLE).regions
    members = (
        Region(linked.origin, "", 0, linked.objects, member="one.o"),
        Region(loose.origin, "", 0, loose.objects, member="two.o"),
    )
    assert states(FileInventory("a.a", 1, None, members), "12.0") == {"missing": 1, "native": 1}


def test_without_names_regions_are_counted(make_file: MakeFile) -> None:
    file = make_file("a.so", (("sm_80", None), ("sm_120", None)), (("sm_80", None),))
    assert states(file, "12.0") == {"native": 1, "missing": 1}


regions = st.lists(
    st.lists(
        st.tuples(
            st.sampled_from(TARGETS), st.sets(st.sampled_from("abcd")).map(sorted).map(tuple)
        ),
        max_size=5,
    ).map(tuple),
    max_size=4,
)


def one_by_one(file: FileInventory, device: ComputeCapability) -> Counter[str]:
    """The rule of SPEC.md, applied to each kernel by itself."""
    counted = Counter[str]()
    for region in file.regions:
        for name in {name for code in region.objects for name in code.kernels or ()}:
            counted[of_one(region, name, device)] += 1
    return counted


def of_one(region: Region, name: str, device: ComputeCapability) -> str:
    cubins = [c for c in region.objects if c.kind is Kind.CUBIN and cubin_runs_on(c.target, device)]
    own = [code for code in cubins if code.target.capability == device]
    ptx = [c for c in region.objects if c.kind is Kind.PTX and ptx_assembles_for(c.target, device)]
    choices = own or cubins or ptx
    holding = [code for code in choices if name in (code.kernels or ())]
    if holding:
        if len(holding) < len(choices):
            return "pick-unclear"
        return "native" if cubins else "ptx"
    if any(name in (code.kernels or ()) for code in (*cubins, *ptx)):
        return "not-picked"
    embedded = [code for code in region.objects if name in (code.kernels or ())]
    specialised = all(code.target.suffix is not Suffix.PLAIN for code in embedded)
    return "foreign" if specialised else "missing"


@given(codes=regions, device=st.sampled_from(current_devices()))
def test_groups_give_what_single_kernels_give(
    make_file: MakeFile,
    codes: list[tuple[tuple[str, tuple[str, ...]], ...]],
    device: ComputeCapability,
) -> None:
    file = make_file("a.so", *codes)
    assert states(file, str(device)) == dict(one_by_one(file, device))


@given(codes=regions)
def test_adding_code_with_every_kernel_never_takes_anything_away(
    make_file: MakeFile, codes: list[tuple[tuple[str, tuple[str, ...]], ...]]
) -> None:
    """Code that lacks some of them can take those away: the driver may pick it."""
    before = make_file("a.so", *codes)
    richer = make_file("a.so", *[(*region, ("sm_121a", tuple("abcd"))) for region in codes])
    device = ComputeCapability.parse("12.1")

    def runs(file: FileInventory) -> int:
        return sum(
            group.count
            for group in group_kernels(file)
            if reach(group.embedded, device, None) is Reach.NATIVE
        )

    assert runs(richer) >= runs(before)


@pytest.mark.parametrize(
    ("codes", "device", "state"),
    [
        # The object of the device's own capability goes before others, and before PTX.
        ({"sm_120": "k", "sm_121": ""}, "12.1", "not-picked"),
        ({"compute_90": "k", "sm_121": ""}, "12.1", "not-picked"),
        ({"compute_90": "k", "sm_120": ""}, "12.1", "not-picked"),
        ({"sm_120": "k", "sm_121": ""}, "12.0", "native"),
        ({"sm_120": "", "sm_121": "k"}, "12.1", "native"),
        ({"sm_120": "", "compute_120": "k"}, "12.1", "not-picked"),
        # No order is documented among these.
        ({"sm_90": "k", "sm_90a": ""}, "9.0", "pick-unclear"),
        ({"sm_90": "", "sm_90a": "k"}, "9.0", "pick-unclear"),
        ({"sm_80": "", "sm_86": "k"}, "8.9", "pick-unclear"),
        ({"sm_80": "k", "sm_86": ""}, "8.9", "pick-unclear"),
        ({"compute_80": "k", "compute_90": ""}, "12.1", "pick-unclear"),
        ({"compute_80": "k", "compute_90": ""}, "8.0", "ptx"),
        # What cannot run there anyway is what it was.
        ({"sm_80": "k", "sm_121": ""}, "12.1", "missing"),
        ({"sm_90a": "k", "sm_121": ""}, "12.1", "foreign"),
        ({"compute_90a": "k", "compute_80": ""}, "12.1", "foreign"),
        ({"sm_80": "k", "sm_90a": ""}, "8.0", "native"),
    ],
)
def test_the_driver_picks_one_object_of_a_region(
    make_file: MakeFile, codes: dict[str, str], device: str, state: str
) -> None:
    file = make_file("a.so", tuple((code, tuple(names)) for code, names in codes.items()))
    assert states(file, device) == {state: 1}


def test_of_a_raw_fatbin_the_driver_picks_too(make_file: MakeFile) -> None:
    codes = (("sm_120", ("k",)), ("sm_121", ()))
    assert states(make_file("a.fatbin", codes, origin=Origin.RAW), "12.1") == {"not-picked": 1}


@pytest.mark.parametrize(
    ("codes", "device", "state"),
    [
        ({"sm_75": "k", "sm_120": ""}, "12.0", "unreachable"),
        ({"sm_120": "k", "sm_121": ""}, "12.1", "unreachable"),
        ({"sm_75": "k", "sm_120": ""}, "7.5", "native"),
        ({"sm_90a": "k", "sm_120": ""}, "12.0", "foreign"),
        ({"sm_90": "k", "sm_90a": ""}, "9.0", "pick-unclear"),
    ],
)
def test_what_no_host_code_registers_is_unreachable_where_it_would_be_missing(
    make_file: MakeFile, codes: dict[str, str], device: str, state: str
) -> None:
    file = make_file("a.so", tuple((code, tuple(names)) for code, names in codes.items()))
    (region,) = file.regions
    file = file._replace(regions=(region._replace(unregistered=frozenset({"k"})),))
    assert states(file, device) == {state: 1}
