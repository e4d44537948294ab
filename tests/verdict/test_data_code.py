"""Code that a program keeps among its data: every kernel should run, or say where it is for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from smforge.arch.requirement import parse_requirements
from smforge.findings import Finding, Level, Outcome, Tally
from smforge.inventory.records import FileInventory, Inventory, Origin
from smforge.policy.excuses import Excuse
from smforge.verdict.judge import judge
from smforge.verdict.reading import Reading
from smforge.verdict.records import Verdict
from smforge.verdict.request import AuditRequest

Codes = dict[str, tuple[str, ...] | None]
"""The kernels of one object among the data, by the name of its target."""


@pytest.fixture
def judged(
    make_file: Callable[..., FileInventory], make_inventory: Callable[..., Inventory]
) -> Callable[..., Verdict]:
    """``judged(codes, "12.1")``: a library that registers a kernel which runs everywhere."""

    def make(codes: Codes, required: str, *excuses: Excuse, alone: bool = False) -> Verdict:
        data = make_file("a.so", *(((name, k),) for name, k in codes.items()), origin=Origin.DATA)
        good = make_file("a.so", (("compute_75", ("registered",)),))
        regions = data.regions if alone else (*good.regions, *data.regions)
        inventory = make_inventory(data._replace(regions=regions))
        request = AuditRequest(parse_requirements(required.split()), excuses=excuses)
        return judge(Reading(inventory), request)

    return make


def told(verdict: Verdict) -> Finding:
    (finding,) = (one for one in verdict.findings if one.rule == "code-among-data")
    return finding


@pytest.mark.parametrize(
    "codes",
    [
        {"sm_120": ("k",)},
        {"compute_90": ("k",)},
        {"sm_90": ("k",), "sm_121a": ("k",)},
        {"sm_80": ("fmha_sm80_kernel",), "sm_90a": ("fmha_sm_90a",)},
        {"sm_90": None, "sm_120": None},
    ],
    ids=["runs", "PTX", "alternatives", "chosen by name", "names not read"],
)
def test_what_runs_is_a_warning(judged: Callable[..., Verdict], codes: Codes) -> None:
    verdict = judged(codes, "12.1")
    assert told(verdict).level is Level.WARNING
    assert verdict.outcome is Outcome.PASS
    # It is none of the kernels that are counted.
    assert verdict.devices[0].tally == Tally(ptx=1)


@pytest.mark.parametrize(
    "codes",
    [
        {"sm_90": ("k",)},
        {"compute_90a": ("k",)},
        {"sm_90": ("k",), "sm_120": ("other",)},
        {"sm_80": ("fmha_sm800_kernel",)},
        {"sm_90": None},
    ],
    ids=["machine code", "PTX for others", "another kernel", "another number", "names not read"],
)
def test_what_cannot_run_leaves_it_undetermined(
    judged: Callable[..., Verdict], codes: Codes
) -> None:
    verdict = judged(codes, "12.1")
    finding = told(verdict)
    assert finding.level is Level.ERROR
    assert "cannot run on 12.1" in finding.message
    assert verdict.outcome is Outcome.UNDETERMINED


def test_a_registered_kernel_that_is_missing_stays_a_failure(
    make_file: Callable[..., FileInventory], make_inventory: Callable[..., Inventory]
) -> None:
    """What a program does with its data does not help the code that it registers."""
    data = make_file("a.so", (("sm_90", ("k",)),), origin=Origin.DATA)
    bad = make_file("a.so", (("sm_80", ("registered",)),))
    inventory = make_inventory(data._replace(regions=(*bad.regions, *data.regions)))
    verdict = judge(Reading(inventory), AuditRequest(parse_requirements(["12.1"])))
    assert told(verdict).level is Level.ERROR
    assert verdict.outcome is Outcome.FAIL


def test_an_excuse_for_missing_kernels_holds(judged: Callable[..., Verdict]) -> None:
    codes: Codes = {"sm_90": ("hopper_attention", "hopper_gemm")}
    one = Excuse("chosen by device", "x", kernel="hopper_gemm")
    assert "1 kernel (hopper_attention)" in told(judged(codes, "12.1", one)).message
    both = Excuse("chosen by device", "x", kernel="hopper_*")
    assert judged(codes, "12.1", both).outcome is Outcome.PASS


def test_code_without_kernels_is_a_note_beside_other_code(judged: Callable[..., Verdict]) -> None:
    assert told(judged({"sm_90": ()}, "12.1")).level is Level.NOTE
    alone = judged({"sm_90": ()}, "12.1", alone=True)
    assert alone.outcome is Outcome.UNDETERMINED
    assert {one.rule for one in alone.findings} >= {"code-among-data"}
