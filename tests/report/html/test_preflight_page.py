"""What the page of a preflight holds, and how it looks in a browser."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from playwright.sync_api import expect

from smforge.arch.target import ComputeCapability, Target
from smforge.findings import Finding, Level, Location, Outcome, Tally
from smforge.preflight.records import Configuration, Preflight, Skip, SourceIdentity, Unit
from smforge.report.html.matrix import Tab
from smforge.report.html.page import render_page
from smforge.report.preflight.outline import headline
from smforge.report.preflight.page import preflight_page
from smforge.report.state import State

SPARK = ComputeCapability(12, 1)
LOST = Finding(
    "source-lost",
    Level.ERROR,
    "1 source that 12.0f gets is not compiled for 12.1a (CMakeLists.txt:7): csrc/lost.cu.",
    device=SPARK,
    target=Target.parse("12.1a"),
    sources=("csrc/lost.cu",),
)


def unit(source: str, *targets: str, ptx: str = "", module: str | None = None) -> Unit:
    return Unit(
        module or "_C",
        source,
        tuple(f"arch=compute_{one},code=sm_{one}" for one in targets),
        tuple(Target.parse(one) for one in targets),
        tuple(Target.parse(one) for one in ptx.split()),
        Location("CMakeLists.txt", 7),
        module,
    )


def preflight(*units: Unit, findings: tuple[Finding, ...] = (LOST,)) -> Preflight:
    skips = (Skip("Not building X as no compatible archs were found", Location("a.cmake", 3)),)
    return Preflight(
        source=SourceIdentity("vllm", "0.33.0", f"sha256:{'0' * 64}"),
        configuration=Configuration("12.1a", "13.0", "2.11.0", units, skips, ()),
        requested=(Target.parse("12.1a"),),
        baselines=(),
        upstream_lists=(),
        devices={SPARK: Tally()},
        required=frozenset({SPARK}),
        findings=findings,
        outcome=Outcome.FAIL if findings else Outcome.PASS,
    )


UNITS = (unit("csrc/own.cu", "12.1a"), unit("csrc/both.cu", "12.0f"), unit("csrc/p.cu", ptx="8.0"))


def states(page: Tab) -> dict[str, list[State]]:
    return {row.id: [cell.state for cell in row.cells] for row in page.rows}


def test_what_is_lost_comes_first_and_devices_of_the_generation_stand_beside() -> None:
    (page,) = preflight_page(preflight(*UNITS, unit("csrc/hopper.cu", "9.0a"))).tabs
    assert [column.id for column in page.columns] == ["12.0", "12.1"]
    assert [column.required for column in page.columns] == [False, True]
    assert states(page) == {
        "csrc/lost.cu": [State.FOREIGN, State.NONE],
        "_C/csrc/both.cu": [State.NATIVE, State.NATIVE],
        "_C/csrc/hopper.cu": [State.FOREIGN, State.FOREIGN],
        "_C/csrc/own.cu": [State.FOREIGN, State.NATIVE],
        "_C/csrc/p.cu": [State.PTX, State.PTX],
    }
    assert page.rows[0].section == "Not compiled"
    assert page.columns[1].tally.missing == 1


def test_a_module_counts_its_sources() -> None:
    lost = Finding("source-lost", Level.ERROR, "…", device=SPARK, sources=("m",))
    units = (unit("a.cu", "12.1a", module="m"), unit("b.cu", "9.0a", module="m"))
    (page,) = preflight_page(preflight(*units, findings=(lost,))).tabs
    assert states(page) == {"m": [State.PARTIAL]}
    assert (page.words.row, page.rows[0].section) == ("module", "Modules")
    assert page.rows[0].count == 2


def test_an_allowed_loss_is_none() -> None:
    allowed = Finding(
        "source-lost", Level.NOTE, "…", device=SPARK, sources=("csrc/own.cu",), excused="known"
    )
    (page,) = preflight_page(preflight(unit("csrc/own.cu", "9.0a"), findings=(allowed,))).tabs
    assert states(page) == {"_C/csrc/own.cu": [State.FOREIGN]}
    assert page.notes[0].allowed == "known"


@pytest.mark.browser
def test_it_opens_in_the_same_page(open_report: Any) -> None:
    opened = open_report(render_page(preflight_page(preflight(*UNITS))))
    page = opened.page
    assert page.title() == "vllm 0.33.0 - smforge preflight"
    outcome = page.locator("#outcome").inner_text()
    assert outcome == "Does not compile everything for 12.1a: source-lost (1)."
    assert page.locator("tr.section").all_inner_texts() == ["Not compiled", "_C"]
    page.locator("#notes .note").first.get_by_role("button").click()
    assert page.locator("#panel h3").inner_text() == "csrc/lost.cu on 12.1"
    assert page.locator("#panel > p").inner_text() == "1 source: 1 lost."
    opened.cell("_C/csrc/both.cu", "12.1").click()
    expect(page.locator("#panel .code.runs")).to_have_text(["sm_120f"])
    assert "CMakeLists.txt:7" in page.locator("#panel dl").inner_text()
    page.get_by_label("Filter").fill("p.cu")
    assert page.locator("#shown").inner_text() == "1 of 4 sources, 2 of 2 devices"


def test_a_pass_says_that_something_is_excused() -> None:
    known = Finding("source-lost", Level.NOTE, "…", device=SPARK, excused="known")
    passed = replace(preflight(*UNITS, findings=(known,)), outcome=Outcome.PASS)
    assert headline(passed) == "Nothing is lost for 12.1a, but for what is excused."
    assert headline(replace(passed, findings=())) == "Nothing is lost for 12.1a."
