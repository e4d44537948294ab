"""What the page of an audit holds."""

from __future__ import annotations

from typing import Any

import pytest

from smforge.errors import DamagedInputError
from smforge.inventory.records import Origin
from smforge.policy.excuses import Excuse
from smforge.report.html.audit_page import audit_page
from smforge.report.html.matrix import Tab
from smforge.report.html.page import render_page
from smforge.report.state import Counts, State
from smforge.verdict.reach import Reach
from smforge.verdict.records import Verdict
from smforge.verdict.unread import unread

EXCUSE = Excuse("Hopper's alone", "the test", kernel="hopper*")


def alone(audits: list[Verdict]) -> Tab:
    (tab,) = audit_page(audits).tabs
    return tab


def states(page: Tab) -> dict[str, dict[str, State]]:
    devices = [column.id for column in page.columns]
    return {
        row.id: dict(zip(devices, [cell.state for cell in row.cells], strict=True))
        for row in page.rows
    }


@pytest.mark.parametrize(
    ("objects", "state"),
    [
        ([("sm_90", "a", "b")], State.NATIVE),
        ([("sm_80", "a", "b"), ("compute_80", "a", "b")], State.PTX),
        ([("sm_90", "a"), ("compute_80", "a", "b")], State.PARTIAL),
        ([("sm_90", "a"), ("sm_80", "b")], State.PARTIAL),
        ([("sm_80", "a", "b")], State.NONE),
        ([("sm_100a", "a", "b")], State.FOREIGN),
        ([("sm_90", "a"), ("sm_100a", "b")], State.NATIVE),
        ([], State.EMPTY),
    ],
)
def test_a_cell_says_how_its_library_runs(
    make: Any, objects: list[tuple[str, ...]], state: State
) -> None:
    lib = make.library("x.so", *(make.code(*one) for one in objects))
    page = alone([make.audit(lib, require="9.0")])
    assert states(page) == {"x.so": {"9.0": state}}


def test_what_a_policy_excuses_counts_as_such_and_is_listed(make: Any) -> None:
    lib = make.library("x.so", make.code("sm_120", "plain"), make.code("sm_90", "hopper_only"))
    page = audit_page([make.audit(lib, require="12.0", excuses=[EXCUSE])])
    (tab,) = page.tabs
    (cell,) = tab.rows[0].cells
    assert cell.state is State.NATIVE
    assert cell.tally == Counts(native=1, excused=1)
    assert [page.names[one.name] for one in cell.excused] == ["hopper_only"]
    assert [one.reason for one in tab.excuses] == ["Hopper's alone"]
    strict = alone([make.audit(lib, require="12.0")])
    assert strict.rows[0].cells[0].state is State.PARTIAL


def test_the_worst_library_comes_first_where_devices_are_required(make: Any) -> None:
    good = make.library("a.so", make.code("sm_90", "k"))
    bad = make.library("b.so", make.code("sm_80", "k"))
    assert list(states(alone([make.audit(good, bad, require="9.0")]))) == ["b.so", "a.so"]
    assert list(states(alone([make.audit(good, bad)]))) == ["a.so", "b.so"]


def test_without_requirements_the_headline_does_not_claim_a_pass(make: Any) -> None:
    lib = make.library("a.so", make.code("sm_90", "k"))
    unasked = alone([make.audit(lib)])
    assert unasked.headline.startswith("Nothing was required, so this is no pass. It runs on 9.0, ")
    assert unasked.outcome == "nothing required"
    assert alone([make.audit(lib, require="9.0")]).headline == "Covers 9.0."
    failed = alone([make.audit(lib, require="12.0")])
    assert failed.headline == "Does not cover 12.0: device-missing (2)."


def test_thousands_of_loose_cubins_become_one_row_per_folder(make: Any) -> None:
    cubins = [
        make.library(f"cubins/{i % 2}/{i}.cubin", make.code("sm_90a", f"k{i}"), origin=Origin.RAW)
        for i in range(3000)
    ]
    page = alone([make.audit(*cubins, make.library("x.so", make.code("sm_90", "k")))])
    assert [(row.id, row.count) for row in page.rows] == [
        ("cubins/0/", 1500),
        ("cubins/1/", 1500),
        ("x.so", 1),
    ]
    assert states(page)["cubins/0/"]["9.0"] is State.NATIVE
    assert len(page.rows[0].groups) == 1


def test_every_way_to_reach_a_device_is_explained_and_has_a_state(make: Any) -> None:
    page = audit_page([make.audit(make.library("x.so", make.code("sm_90", "k")))])
    assert {one.id for one in page.reaches} == set(Reach)
    assert {one.state for one in page.reaches} <= {one.id for one in page.states}


def test_several_subjects_have_a_tab_and_a_verdict_each_the_worst_first(make: Any) -> None:
    lib = make.library("x.so", make.code("sm_90", "k"))
    other = make.library("x.so", make.code("sm_80", "k"))
    page = audit_page(
        [make.audit(lib, require="9.0", name="a"), make.audit(other, require="9.0", name="b")]
    )
    everything, bad, good = page.tabs
    assert [tab.id for tab in page.tabs] == ["", "b", "a"]
    assert [tab.outcome for tab in page.tabs] == ["fail", "fail", "pass"]
    assert states(everything) == {"b": {"9.0": State.NONE}, "a": {"9.0": State.NATIVE}}
    assert [row.outcome for row in everything.rows] == ["fail", "pass"]
    assert everything.columns[0].state is State.PARTIAL
    assert everything.columns[0].tally == Counts(native=1, missing=1)
    assert everything.headline == "2 subjects: 1 pass, 1 fail."
    assert (states(bad), states(good)) == (
        {"x.so": {"9.0": State.NONE}},
        {"x.so": {"9.0": State.NATIVE}},
    )
    assert [note.row for note in bad.notes if note.rule == "device-missing"] == [None, "x.so"]
    assert good.headline == "Covers 9.0."


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["vllm-1.0-py3-none-any.whl", "torch-2.0-py3-none-any.whl"], ["vllm 1.0", "torch 2.0"]),
        (["v-1.0-py3-none-a.whl", "v-1.0-py3-none-b.whl"], None),
        (["same-1-a-b-c.whl", "same-1-a-b-c.whl"], ["same-1-a-b-c.whl", "same-1-a-b-c.whl (2)"]),
    ],
)
def test_subjects_have_short_names_where_those_differ(
    make: Any, names: list[str], short: list[str] | None
) -> None:
    page = audit_page([make.audit(name=name) for name in names])
    assert sorted(tab.id for tab in page.tabs[1:]) == sorted(short or names)


def test_a_device_has_the_worst_state_of_all_subjects_that_have_an_answer(make: Any) -> None:
    missing = make.library("x.so", make.code("sm_80", "k"))
    foreign = make.library("x.so", make.code("sm_100a", "k"))
    empty = make.audit(require="9.0", name="empty")
    good = make.audit(make.library("x.so", make.code("sm_90", "k")), require="9.0", name="good")
    cubin = make.library("x.cubin", make.code("sm_100?", "k"), origin=Origin.RAW)
    unclear = make.audit(cubin, require="9.0", name="unclear")
    none = make.audit(missing, require="9.0", name="none")
    for_others = make.audit(foreign, require="9.0", name="others")
    for audits, state in (
        ([none, empty], State.NONE),
        ([none, for_others], State.NONE),
        ([for_others, empty], State.FOREIGN),
        ([none, good], State.PARTIAL),
        ([unclear, good], State.UNCLEAR),
        ([empty, empty], State.EMPTY),
    ):
        assert audit_page(audits).tabs[0].columns[0].state is state


def test_a_device_for_which_nothing_could_be_judged_is_not_one_on_which_nothing_runs(
    make: Any,
) -> None:
    page = alone([make.audit(make.library("x.so"), require="9.0")])
    assert page.columns[0].state is State.EMPTY
    assert page.rows[0].cells[0].state is State.EMPTY


def test_a_subject_that_could_not_be_read_has_a_tab_and_no_data_is_no_answer(make: Any) -> None:
    lib = make.library("x.so", make.code("sm_90", "k"))
    read, empty = make.audit(lib, require="9.0", name="a"), make.audit(require="9.0", name="b")
    error = DamagedInputError("The archive has no end record.", remedy="Download it again.")
    torn = unread("c.whl", error, read.view.request)
    everything, *tabs = audit_page([read, empty, torn]).tabs
    assert [(tab.id, tab.outcome) for tab in tabs] == [
        ("c.whl", "undetermined"),
        ("b", "nothing"),
        ("a", "pass"),
    ]
    assert everything.outcome == "undetermined"
    # The device is native for one subject and not known for another.
    assert everything.columns[0].state is State.UNCLEAR
    assert states(everything)["c.whl"] == {"9.0": State.UNCLEAR}
    assert [note.rule for note in tabs[0].notes] == ["subject-unread"]
    assert ("Holds", "not known: it could not be read") in tabs[0].facts
    (alone,) = audit_page([torn]).tabs
    assert alone.rows == ()


def test_a_page_of_hundreds_of_libraries_stays_small(make: Any) -> None:
    """Six hundred modules of forty kernels, as FlashInfer's cache has them."""
    libraries = [
        make.library(
            f"cache/module_{i}/module_{i}.so",
            make.code("sm_90a", *(f"_Z9kernel_{i:03}ILi{j}EEvv" for j in range(40))),
            make.code("compute_120f", *(f"other_{i}_{j}" for j in range(10))),
        )
        for i in range(600)
    ]
    assert len(render_page(audit_page([make.audit(*libraries)]))) < 1_500_000


def test_names_without_templates_are_folded_by_their_first_words(make: Any) -> None:
    names = [f"gemm_Bf16_m{m}_n{n}x{k}" for m in range(4) for n in range(40) for k in range(20)]
    lib = make.library("x.so", make.code("sm_90", "alone", *names))
    page = audit_page([make.audit(lib)])
    (group,) = page.tabs[0].rows[0].groups
    shown = {page.names[one.name]: one.count for one in group.families}
    assert sum(shown.values()) == len(names) + 1
    assert shown["gemm_Bf16_m0_n7x…"] == 20
    assert shown["alone"] == 1
    assert len(shown) <= 250


def test_a_suffix_that_is_not_recorded_leaves_a_cell_open(make: Any) -> None:
    cubin = make.library("x.cubin", make.code("sm_100?", "k"), origin=Origin.RAW)
    page = alone([make.audit(cubin, require="10.0 10.3 9.0")])
    assert states(page) == {
        "x.cubin": {"10.0": State.NATIVE, "10.3": State.UNCLEAR, "9.0": State.UNCLEAR}
    }
