"""What counts as lost, gained, moved, replaced and removed, and what decides."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smforge.errors import IncomparableError
from smforge.report.diff import outline
from smforge.report.diff.pairing import follow, follow_names
from smforge.report.diff.sides import same_family, same_name

ONE = "_Z4normIiEvPT_"
TWO = "_Z4normIfEvPT_"
FAMILY = "norm<…>"


def single(make: Any, *objects: tuple[str, ...], **side: Any) -> Any:
    """A wheel of one library with one region."""
    code = tuple(make.code(*one) for one in objects)
    return make.side(make.library("x.so", code), **side)


def test_the_same_thing_has_lost_nothing(make: Any) -> None:
    side = single(make, ("sm_80", ONE), ("sm_90a", TWO), ("compute_80", ONE))
    diff = make.compare(side, side)
    assert diff.verdict == "pass"
    assert not diff.families
    assert not diff.failures
    assert not any(one.lost or one.gained for one in diff.devices.values())


def test_a_library_that_is_not_linked_any_more_fails(make: Any) -> None:
    whole = make.library("x.so", (make.code("sm_90", ONE),))
    linked, unlinked = make.side(whole), make.side(whole._replace(unlinked=("x.cu",)))
    diff = make.compare(linked, unlinked)
    assert diff.verdict == "fail"
    assert "x.so: the relocatable GPU code of x.cu" in diff.failures[0]
    assert make.compare(unlinked, unlinked).verdict == "pass"
    assert make.compare(unlinked, linked).verdict == "pass"


def test_a_library_for_another_cpu_fails_though_it_lost_no_kernel(make: Any) -> None:
    whole = make.library("p/x.so", (make.code("sm_120", ONE),))
    right, wrong = (
        make.side(
            whole._replace(machine=cpu), name="p-1.whl", require="12.0", platform="linux/amd64"
        )
        for cpu in ("x86_64", "aarch64")
    )
    diff = make.compare(right, wrong, "12.0")
    assert diff.verdict == "fail"
    assert diff.failures == (
        "p/x.so is for aarch64, and p-1.whl for x86_64: it cannot be loaded there.",
    )
    assert make.compare(wrong, right, "12.0").verdict == "pass"
    assert make.compare(wrong, wrong, "12.0").verdict == "pass"


def test_a_device_that_was_never_covered_is_no_loss(make: Any) -> None:
    """The audit of both fails for 12.0; the comparison counts kernels itself."""
    side = make.side(make.library("x.so", (make.code("sm_90", ONE),)), require="12.0")
    assert make.compare(side, side, "12.0").verdict == "pass"
    other = make.side(make.library("y.so", (make.code("sm_90", ONE),)), require="12.0")
    assert make.compare(side, other, "12.0").verdict == "pass"


def test_a_kernel_without_code_for_a_device_is_lost_there_alone(make: Any) -> None:
    old = single(make, ("sm_90", ONE, TWO), ("sm_120", ONE, TWO))
    new = single(make, ("sm_90", ONE, TWO), ("sm_120", ONE))
    diff = make.compare(old, new)
    assert diff.failures == ("12.0 and 12.1 lose 1 kernel each.",)
    assert diff.verdict == "fail"
    (change,) = diff.families
    assert (change.family, change.change) == (FAMILY, "same")
    assert change.lost == {"12.0": 1, "12.1": 1}
    assert diff.devices["9.0"].lost == 0
    assert make.compare(old, new, "9.0").verdict == "pass"


def test_a_removed_kernel_is_lost_unless_removals_are_allowed(make: Any) -> None:
    old = single(make, ("sm_90", ONE, "gone"))
    new = single(make, ("sm_90", ONE))
    diff = make.compare(old, new, "9.0")
    assert diff.failures == ("9.0 loses 1 kernel.",)
    assert [one.change for one in diff.families] == ["removed"]
    assert make.compare(old, new, "9.0", allow_removed=True).verdict == "pass"
    assert make.compare(old, new, "9.0", allowed=("go*",)).verdict == "pass"
    assert make.compare(old, new, "9.0", allowed=("other*",)).verdict == "fail"


def test_allowing_removals_does_not_allow_a_device_to_be_dropped(make: Any) -> None:
    old = single(make, ("sm_90", ONE), ("sm_120", ONE))
    new = single(make, ("sm_90", ONE))
    assert make.compare(old, new, "12.0", allow_removed=True).verdict == "fail"


def test_another_kernel_of_the_family_takes_the_place_of_one_that_is_gone(make: Any) -> None:
    old, new = single(make, ("sm_90", ONE)), single(make, ("sm_90", TWO))
    diff = make.compare(old, new, "9.0")
    assert diff.verdict == "pass"
    assert [one.change for one in diff.families] == ["replaced"]
    strict = make.compare(old, new, "9.0", strict=True)
    assert strict.verdict == "fail"
    assert {one.change for one in strict.families} == {"removed", "added"}


def test_a_replacement_that_does_not_run_here_is_a_loss(make: Any) -> None:
    old, new = single(make, ("sm_120", ONE)), single(make, ("sm_90", TWO))
    assert make.compare(old, new, "12.0").failures == ("12.0 loses 1 kernel.",)
    assert make.compare(old, new, "12.0", allow_removed=True).verdict == "fail"


def test_a_kernel_may_move_to_another_library(make: Any) -> None:
    here = make.side(make.library("a.so", (make.code("sm_90", ONE, "stays"),)))
    there = make.side(
        make.library("a.so", (make.code("sm_90", "stays"),)),
        make.library("b.so", (make.code("sm_90", ONE),)),
    )
    diff = make.compare(here, there, "9.0")
    assert diff.verdict == "pass"
    (moved,) = diff.families
    assert (moved.change, moved.old_library, moved.new_library) == ("moved", "a.so", "b.so")


def test_a_kernel_that_moved_out_of_reach_is_lost(make: Any) -> None:
    here = make.side(make.library("a.so", (make.code("sm_120", ONE), make.code("sm_100", ONE))))
    there = make.side(make.library("b.so", (make.code("sm_100f", ONE),)))
    assert make.compare(here, there, "12.1").failures == ("12.1 loses 1 kernel.",)


def test_a_namesake_in_another_region_does_not_make_up_for_a_loss(make: Any) -> None:
    both = (make.code("sm_90", ONE), make.code("sm_120", ONE))
    old = make.side(make.library("x.so", both, both))
    new = make.side(make.library("x.so", both, (make.code("sm_90", ONE),)))
    assert make.compare(old, new, "12.0").failures == ("12.0 loses 1 kernel.",)


def test_regions_that_were_joined_lose_nothing(make: Any) -> None:
    region = (make.code("sm_90", ONE),)
    old = make.side(make.library("x.so", region, region))
    new = make.side(make.library("x.so", region))
    assert make.compare(old, new, "9.0").verdict == "pass"


def test_ptx_is_a_demotion_and_with_native_a_loss(make: Any) -> None:
    old = single(make, ("sm_90", ONE), ("sm_80", ONE))
    new = single(make, ("compute_80", ONE), ("sm_80", ONE))
    diff = make.compare(old, new, "9.0")
    assert diff.verdict == "pass"
    assert diff.devices["9.0"].demoted == 1
    assert [one.demoted for one in diff.families] == [{"9.0": 1}]
    assert make.compare(old, new, "9.0", native_only=True).verdict == "fail"


def test_targets_sizes_and_devices_per_library(make: Any) -> None:
    old = make.side(
        make.library("x.abi3.so", (make.code("sm_90", ONE), make.code("sm_120", ONE)), size=10)
    )
    new = make.side(
        make.library("x.cpython-312-x86_64-linux-gnu.so", (make.code("sm_90", ONE),), size=30),
        make.library("y.so", (make.code("compute_90", "new"),)),
    )
    diff = make.compare(old, new)
    x, y = diff.libraries
    assert (x.old, x.new) == ("x.abi3.so", "x.cpython-312-x86_64-linux-gnu.so")
    assert (x.size.old, x.size.new) == (10, 30)
    assert x.targets_lost == ("sm_120",)
    assert x.devices_lost == ("12.0", "12.1")
    assert (y.old, y.new) == (None, "y.so")
    assert diff.targets_gained == ("compute_90",)


@pytest.mark.parametrize(
    ("required", "verdict"), [("12.0f", "fail"), ("sm_90", "pass"), ("compute_80", "pass")]
)
def test_a_required_target_must_not_go(make: Any, required: str, verdict: str) -> None:
    old = single(make, ("sm_120f", ONE), ("sm_90", ONE), ("sm_120", ONE))
    new = single(make, ("sm_90", ONE), ("sm_120", ONE))
    diff = make.compare(old, new, f"9.0 {required}")
    assert diff.verdict == verdict
    assert ("Nothing embeds 12.0f any more." in diff.failures) == (verdict == "fail")


def test_nothing_to_compare_is_not_a_pass(make: Any) -> None:
    side = single(make, ("sm_90", ONE))
    empty = make.side()
    assert make.compare(empty, side).verdict == "nothing"
    assert make.compare(side, empty, "9.0").verdict == "fail"


@pytest.mark.parametrize(
    ("old_damaged", "new_damaged", "lost", "verdict"),
    [
        (False, False, False, "pass"),
        (True, False, False, "undetermined"),
        (False, True, False, "undetermined"),
        (True, False, True, "fail"),
        (False, True, True, "undetermined"),
    ],
)
def test_damage_is_never_a_pass(
    make: Any, old_damaged: bool, new_damaged: bool, lost: bool, verdict: str
) -> None:
    old = single(make, ("sm_90", ONE, "b"), damaged=old_damaged)
    new = single(make, ("sm_90", ONE, *(() if lost else ("b",))), damaged=new_damaged)
    assert make.compare(old, new, "9.0").verdict == verdict


def test_without_names_the_numbers_decide_and_it_is_said(make: Any) -> None:
    old = single(make, ("sm_90", ONE, TWO), listed=False)
    new = single(make, ("sm_90", ONE), listed=False)
    diff = make.compare(old, new, "9.0")
    assert diff.compared == "counts"
    assert diff.failures == ("9.0 loses 1 kernel.",)
    assert make.compare(new, old, "9.0").verdict == "pass"


def test_counts_that_do_not_exist_cannot_be_compared(make: Any) -> None:
    seen = single(make, ("sm_90", ONE), listed=False, require="9.0")
    unseen = single(make, ("sm_90", ONE), listed=False, require="12.0")
    with pytest.raises(IncomparableError, match=r"count 9\.0"):
        make.compare(seen, unseen, "9.0")
    with pytest.raises(IncomparableError, match=r"runs on 9\.0"):
        make.compare(seen, unseen)
    listed = single(make, ("sm_90", ONE), require="12.0")
    assert make.compare(single(make, ("sm_90", ONE), require="9.0"), listed).verdict == "pass"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "_ZN36_GLOBAL__N__803367c0_4_t_cu_2c0a78364anonEPi",
            "_ZN33_GLOBAL__N__11111111_4_t_cu_plain4anonEPi",
        ),
        (
            "_ZN53_INTERNAL_803367c0_4_t_cu_2c0a7836_1234_and_some_more4anonEPi",
            "_ZN38_INTERNAL_11111111_4_t_cu_22222222_5674anonEPi",
        ),
        (
            "_ZN3cub17CUB_200802_SM_90011EmptyKernelIvEEvv",
            "_ZN3cub26CUB_300001_SM_900_1000_12011EmptyKernelIvEEvv",
        ),
    ],
)
def test_what_changes_from_build_to_build_is_no_part_of_a_name(one: str, other: str) -> None:
    assert same_name(one) == same_name(other)
    assert same_family(one) == same_family(other)


NAMES = st.sampled_from([ONE, TWO, "plain", "_Z4normIdEvPT_", "other"])
KERNELS = st.dictionaries(
    st.sampled_from(["a.so", "b.so"]),
    st.dictionaries(NAMES, st.sampled_from(["sm_90", "sm_120", "compute_80", "sm_100a"])),
)


@given(KERNELS, KERNELS, st.booleans())
def test_every_kernel_is_followed_exactly_once(
    make: Any,
    old: dict[str, dict[str, str]],
    new: dict[str, dict[str, str]],
    strict: bool,
) -> None:
    from smforge.report.diff.named import _items, library_keys  # noqa: PLC0415

    sides = [built(make, one) for one in (old, new)]
    keys = library_keys(*sides)
    before, after = (list(_items(one, keys)) for one in sides)
    pairs = list((follow_names if strict else follow)(before, after))
    assert sorted(map(id, before)) == sorted(id(one) for pair in pairs for one in pair.old)
    assert sorted(map(id, after)) == sorted(id(one) for pair in pairs for one in pair.new)


@given(KERNELS, KERNELS)
def test_what_runs_adds_up_and_a_pass_never_hides_a_smaller_number(
    make: Any, old: dict[str, dict[str, str]], new: dict[str, dict[str, str]]
) -> None:
    diff = make.compare(built(make, old), built(make, new))
    for device in diff.devices.values():
        assert device.runs.old is not None
        assert device.runs.new is not None
        assert device.lost <= device.runs.old
        assert device.gained <= device.runs.new
        assert device.runs.new >= device.runs.old - device.lost
        assert device.runs.new - device.runs.old == device.gained - device.lost
    lost = any(one.required and one.lost for one in diff.devices.values())
    assert (diff.verdict == "fail") == lost


def built(make: Any, libraries: dict[str, dict[str, str]]) -> Any:
    files = [
        make.library(path, tuple(make.code(target, name) for name, target in kernels.items()))
        for path, kernels in libraries.items()
        if kernels
    ]
    return make.side(*files)


def test_losses_on_other_devices_are_counted_and_not_named(make: Any) -> None:
    old = single(make, ("sm_90", ONE, "b"), ("sm_80", ONE, "b", "c"))
    new = single(make, ("sm_90", ONE, "b"), ("sm_80", ONE))
    diff = make.compare(old, new, "9.0")
    assert diff.verdict == "pass"
    said = " ".join(outline.sentences(diff))
    assert "Lost on devices that are not required: 8.0 (2), " in said
    assert "--require names what" in said
    assert list(outline.families(diff)) == []
    assert "not required" not in " ".join(
        outline.sentences(make.compare(old, new, "8.0 8.6 8.9 9.0"))
    )
