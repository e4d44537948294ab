"""Every renderer's whole output, held by files in golden/.

Renew them with ``RENEW_GOLDEN=1 pytest tests/report/test_golden.py``, and read what git shows then.
"""

from __future__ import annotations

import json
import os
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from smforge import __version__
from smforge.arch.drivers import DriverVersion
from smforge.arch.requirement import parse_requirements
from smforge.arch.target import ComputeCapability, Suffix, Target
from smforge.cli.audit_rendering import render
from smforge.findings import Finding, Level, Location, Outcome, Tally
from smforge.inventory.cuobjdump.agreement import Comparison
from smforge.inventory.records import (
    CodeObject,
    Damage,
    FileInventory,
    Inventory,
    Kind,
    Origin,
    Region,
    Subject,
    SubjectKind,
)
from smforge.policy.excuses import Excuse
from smforge.preflight.records import (
    Collapse,
    Configuration,
    External,
    Preflight,
    Refusal,
    Skip,
    SourceIdentity,
    Unit,
    UpstreamList,
)
from smforge.report import outline, saved
from smforge.report.build import report_of, to_json
from smforge.report.diff import markdown as diff_markdown
from smforge.report.diff import model as diff_model
from smforge.report.diff import table as diff_table
from smforge.report.diff.compare import compare
from smforge.report.diff.sides import side_of
from smforge.report.diff.terms import DiffTerms
from smforge.report.html.audit_page import audit_page
from smforge.report.html.matrix import Page, Row, Tab
from smforge.report.html.page import json_for_script, render_page
from smforge.report.html.saved_page import saved_page
from smforge.report.preflight import junit as preflight_junit
from smforge.report.preflight import markdown as preflight_markdown
from smforge.report.preflight import sarif as preflight_sarif
from smforge.report.preflight import table as preflight_table
from smforge.report.preflight.document import render_json
from smforge.report.preflight.page import preflight_page
from smforge.report.state import state_of
from smforge.report.table import render_table
from smforge.report.text.json_text import json_text
from smforge.verdict.judge import judge
from smforge.verdict.reading import Backend, Reading
from smforge.verdict.records import Verdict
from smforge.verdict.request import AuditRequest

GOLDEN = Path(__file__).parent / "golden"
RENEW = bool(os.environ.get("RENEW_GOLDEN"))
ADD = tuple(f"_Z3addI{letter}EvPT_S0_" for letter in "ijlmfd")
FAMILIES = tuple(
    f"_ZN2ns{len(word)}{word}ILi{n}EEEvv" for word in ("gemm", "norm", "rope") for n in (1, 2)
)


# ---- subjects written by hand ---------------------------------------------------------------


def code(target: str, *kernels: str, isa: str = "9.0", stored: int = 1000) -> CodeObject:
    """``sm_90a`` is machine code, ``compute_90`` PTX; ``sm_90?`` does not record its suffix."""
    kind = Kind.PTX if target.startswith("compute_") else Kind.CUBIN
    parsed = Target.parse(target.rstrip("?"))
    if target.endswith("?"):
        parsed = parsed._replace(suffix=Suffix.UNKNOWN)
    version = isa if kind is Kind.PTX else None
    return CodeObject(kind, parsed, stored, version, "13.0", kernels=kernels)


def library(
    path: str, *objects: CodeObject, origin: Origin = Origin.FATBIN, **others: Any
) -> FileInventory:
    region = Region(origin, ".nv_fatbin", 0, objects, source="kernels.cu")
    return FileInventory(path, 5_000_000, None, (region,), **others)


def units(path: str, *regions: tuple[CodeObject, ...]) -> FileInventory:
    """A library of several translation units, each with its own code objects."""
    of_each = (Region(Origin.FATBIN, ".nv_fatbin", 0, one, source="kernels.cu") for one in regions)
    return FileInventory(path, 5_000_000, None, tuple(of_each))


def lto(path: str) -> FileInventory:
    """A file whose GPU code another linker has to finish first."""
    unlinked = CodeObject(Kind.LTO_IR, Target.parse("sm_90"), 500)
    return library(path, unlinked)


def audited(
    *files: FileInventory,
    require: str = "",
    name: str = "thing-1.0-py3-none-linux_x86_64.whl",
    driver: str | None = None,
    native_only: bool = False,
    excuses: Sequence[Excuse] = (),
    compared: bool = False,
    damage: tuple[Damage, ...] = (),
) -> Verdict:
    subject = Subject(SubjectKind.WHEEL, name, "sha256:" + "a" * 64, "linux/amd64")
    inventory = Inventory(subject, files, len(files), damage)
    reading = Reading(inventory)
    if compared:
        comparison = Comparison(len(files), 60, 300, (), ())
        reading = Reading(inventory, Backend.BOTH, "13.5.37", comparison)
    terms = AuditRequest(
        parse_requirements([require]),
        None if driver is None else DriverVersion.parse(driver),
        native_only,
        tuple(excuses),
        today=date(2026, 11, 21),
    )
    return judge(reading, terms)


def failing() -> Verdict:
    """Every kind of finding about devices and targets, more of them than a table shows."""
    parts = [
        library(
            f"pkg/ops/part_{at:02}.so",
            code("sm_80", *FAMILIES, f"own_{at}"),
            code("sm_120", *FAMILIES[: at % 7]),
        )
        for at in range(14)
    ]
    two = ("plain", "other")
    return audited(
        *parts,
        library("pkg/ptx.so", code("sm_90", *two), code("compute_90", *two)),
        library("pkg/hopper.so", code("sm_90a", "plain")),
        library("pkg/relative.so", code("sm_120a", "near"), code("sm_120f", "both")),
        library("pkg/hidden.so", code("sm_120", "plain"), origin=Origin.EMBEDDED),
        library("pkg/odd|name`<b>&.so", code("sm_120", "odd<b>|`", "``two``"), code("sm_90", "x")),
        library("pkg/copies/a.so", code("sm_90", "same"))._replace(sha256="c" * 64),
        library("pkg/copies/b.so", code("sm_90", "same"))._replace(sha256="c" * 64),
        library("pkg/good.so", code("sm_120f", *ADD), code("sm_90", *ADD)),
        lto("pkg/lto.a"),
        *(
            library(f"pkg/cubins/{n}.cubin", code("sm_90a", f"k{n}"), origin=Origin.RAW)
            for n in range(4)
        ),
        require="12.1 9.0 sm_100 12.0f",
        excuses=[
            Excuse("made for Ampere alone", "gate.toml", kernel="own_3", file="part_03.so",
                      reference="https://example.org/issue/3", expires=date(2027, 1, 1)),
            Excuse("nothing of this name", "gate.toml", kernel="absent*"),
            Excuse("no longer true", "gate.toml", kernel="own_4", expires=date(2026, 1, 1)),
        ],
        compared=True,
    )  # fmt: skip


def excused() -> Verdict:
    """What a policy excuses, beside what it does not: missing, PTX alone, all of a library."""
    old = tuple(f"old_{n}" for n in range(20))
    gone = tuple(f"gone_{n}" for n in range(3))
    ampere = tuple(f"_Z6ampereILi{n}EEvv" for n in range(1113))
    return audited(
        units("mixed.so", (code("sm_120", "a"), code("sm_80", *gone)), (code("compute_80", *old),)),
        library("missing.so", code("sm_120", "a"), code("sm_80", *ampere)),
        library("none.so", code("sm_80", *ampere[:5])),
        library("from_ptx.so", code("compute_80", *old)),
        library("half.so", code("sm_80", ampere[0], "lost")),
        units("some_ptx.so", (code("sm_120", "a"),), (code("compute_80", *old, "late"),)),
        require="12.1",
        excuses=[
            Excuse("made for Ampere alone", "gate.toml", kernel="_Z6ampere*"),
            Excuse("assembled at the first load", "gate.toml", kernel="old_*"),
        ],
    )  # fmt: skip


def unasked() -> Verdict:
    """Nothing required: every device as a mark, more libraries than a table shows."""
    return audited(
        *(library(f"lib/{at:02}.so", code("sm_80", "a"), code("sm_120f", "a")) for at in range(42)),
        library("lib/ptx.so", code("compute_80", "a")),
        library("lib/part.so", code("sm_90", "a"), code("sm_80", "b")),
        units(
            "lib/mixed.so",
            (code("sm_90", "a"), code("compute_90", "a")),
            (code("compute_90", *"bcd"),),
        ),
        library("lib/hopper.so", code("sm_90a", "a")),
        lto("lib/lto.a"),
    )


def excusing_unasked() -> Verdict:
    """Nothing required, and a policy that excuses all the same."""
    return audited(
        library("x.so", code("sm_90", "a"), code("sm_80", "_Z6ampereILi1EEvv")),
        excuses=[Excuse("made for Ampere alone", "gate.toml", kernel="_Z6ampere*")],
    )


def undetermined() -> Verdict:
    torn = Damage("torn.so", "torn.so ends within a fatbin.", 4096)
    return audited(
        library("good.so", code("sm_120", "plain")),
        library("torn.so", code("sm_120", "plain"), damage=(torn,)),
        require="12.1",
        damage=(Damage("inner.zip", "inner.zip is an archive in the archive: not read."),),
    )


def unjudged() -> Verdict:
    return audited(lto("a.a"), lto("b.a"), require="9.0")


def nothing() -> Verdict:
    return audited(require="12.1")


def passing() -> Verdict:
    return audited(
        library("good.so", code("sm_120f", *ADD)), library("also.so", code("sm_120", "plain")),
        require="12.1 12.0f",
    )  # fmt: skip


def too_new() -> Verdict:
    """PTX that a driver is too old for, and PTX of which nobody knows."""
    return audited(
        library("new.so", code("compute_90", "a", "b", isa="9.0")),
        library("unsure.so", code("compute_90", "a", isa="8.6")),
        units("good.so", (code("sm_120", "a"),), (code("compute_90", "b", isa="8.0"),)),
        require="12.1",
        driver="570.195.03",
        native_only=True,
    )


def unclear() -> Verdict:
    return audited(
        library("x.cubin", code("sm_100?", "k"), origin=Origin.RAW), require="10.0 10.3 9.0"
    )


def unreachable() -> Verdict:
    """Kernels that another pass of the compiler left there, and no host code registers."""
    files = [
        library("some.so", code("sm_90", "kept"), code("sm_60", "left")),
        library("all.so", code("sm_60", "left")),
    ]
    return audited(
        *(
            file._replace(
                regions=tuple(
                    one._replace(unregistered=frozenset({"left"})) for one in file.regions
                )
            )
            for file in files
        ),
        require="9.0",
    )


def regions() -> Verdict:
    """Targets alone, without kernel names."""
    bare = [
        file._replace(
            regions=tuple(
                one._replace(objects=tuple(o._replace(kernels=None) for o in one.objects))
                for one in file.regions
            )
        )
        for file in (library("a.so", code("sm_90", "k")), library("b.so", code("sm_80", "k")))
    ]
    return audited(*bare, require="9.0")


AUDITS: dict[str, Callable[[], list[Verdict]]] = {
    "failing": lambda: [failing()],
    "excused": lambda: [excused()],
    "unasked": lambda: [unasked()],
    "excusing-unasked": lambda: [excusing_unasked()],
    "undetermined": lambda: [undetermined()],
    "unjudged": lambda: [unjudged()],
    "nothing": lambda: [nothing()],
    "passing": lambda: [passing()],
    "too-new": lambda: [too_new()],
    "unclear": lambda: [unclear()],
    "regions": lambda: [regions()],
    "unreachable": lambda: [unreachable()],
    "several": lambda: [passing(), undetermined(), nothing()],
}
LISTED = {"passing", "too-new"}
"""Cases that list every kernel, as --kernels does."""
LARGE = {("unasked", "json"), ("unasked", "html")}
"""What would fill thousands of lines and shows nothing that the others do not."""


# ---- preflights and comparisons -------------------------------------------------------------


def unit(source: str, *targets: str, ptx: str = "", extension: str = "_C") -> Unit:
    return Unit(
        extension,
        source,
        tuple(f"arch=compute_{one},code=sm_{one}" for one in targets),
        tuple(Target.parse(one) for one in targets),
        tuple(Target.parse(one) for one in ptx.split()),
        Location("CMakeLists.txt", 7),
    )


def configuration(archs: str, *units: Unit, refusal: Refusal | None = None) -> Configuration:
    skips = (Skip("Not building X, as no compatible archs were found", Location("a.cmake", 3)),)
    external = External("deepgemm", "https://example.org/x.git", "v1", Location("b.cmake", 4), 2)
    return Configuration(archs, "13.0", "2.14.0", units, skips, (external,), refusal)


SPARK, BLACKWELL = ComputeCapability(12, 1), ComputeCapability(12, 0)


def losing() -> Preflight:
    wanted = Target.parse("12.1a")
    compiled = (
        unit("csrc/own.cu", "12.1a"),
        unit("csrc/both.cu", "12.0f"),
        unit("csrc/p.cu", ptx="8.0", extension="_moe_C"),
        unit("csrc/odd|`<b>.cu", "9.0a"),
    )
    return Preflight(
        source=SourceIdentity("vllm", "0.33.0", "sha256:" + "0" * 64),
        configuration=configuration("12.1a", *compiled),
        requested=(wanted,),
        baselines=(
            configuration("12.0f", unit("csrc/lost.cu", "12.0f")),
            configuration("12.0", refusal=Refusal("No such list", Location("c.cmake", 9), "torch")),
        ),
        devices={
            SPARK: Tally(native=2, ptx=1, foreign=1, missing=2),
            BLACKWELL: Tally(native=1, ptx=1, foreign=2),
        },
        upstream_lists=(
            UpstreamList("vllm", "9.0 10.0", Location("bake.hcl", 2), "users", Level.NOTE),
        ),
        findings=(
            Finding(
                "source-lost",
                Level.ERROR,
                "2 sources that 12.0f gets are not compiled for 12.1a (CMakeLists.txt:7): "
                "csrc/lost.cu, csrc/more*.cu.",
                remedy="Ask for 12.0f in place of 12.1a.",
                device=SPARK,
                target=wanted,
                location=Location("CMakeLists.txt", 7),
                sources=("csrc/lost.cu", "csrc/more*.cu"),
            ),
            Finding(
                "baseline-refused", Level.WARNING, "The list 12.0 could not be compared with.",
                remedy="Name another with --baseline.",
            ),
            Finding(
                "source-lost", Level.NOTE, "1 source is not compiled: csrc/known.cu.",
                remedy="Ask for 12.0f.", device=SPARK, target=wanted, sources=("csrc/known.cu",),
                excused="upstream says so",
            ),
            Finding(
                "not-examined", Level.NOTE, "deepgemm was not there to look at.",
                location=Location("b.cmake", 4),
            ),
        ),
        outcome=Outcome.FAIL,
        collapsed=(Collapse(Target.parse("12.1a"), (Target.parse("12.0f"),)),),
        required=frozenset({SPARK}),
        compared_with={SPARK: ("12.0f",)},
    )  # fmt: skip


def keeping() -> Preflight:
    return replace(losing(), findings=(), outcome=Outcome.PASS, baselines=())


PREFLIGHTS = {"losing": losing, "keeping": keeping}


def compared(
    old: Verdict, new: Verdict, require: str = "", *, listed: bool = True
) -> diff_model.Diff:
    before, after = (
        side_of(report_of(one, kernels=listed), saved=not listed) for one in (old, new)
    )
    return compare(before, after, DiffTerms(parse_requirements([require])))


def shrinking(*, listed: bool = True) -> diff_model.Diff:
    """Families and headings lost by the dozen, a library gone, one new, one moved from."""
    names = tuple(f"_ZN2ns5k{n:04}ILi1EEEvv" for n in range(14))
    old = audited(
        *(library(f"l{n:02}.so", code("sm_90", "shared", f"own_{n}")) for n in range(14)),
        units("big.so", (code("sm_90", *names),), (code("compute_80", "late"),)),
        library("gone.so", code("sm_120", "left")),
        name="old.whl",
    )
    new = audited(
        *(library(f"l{n:02}.so", code("sm_90", "shared")) for n in range(14)),
        library("big.so", code("sm_80", *names), code("sm_90a", "late", "odd|`<b>")),
        library("new.so", code("compute_80", "left", "fresh")),
        name="new.whl",
    )
    return compared(old, new, listed=listed)


DIFFS: dict[str, Callable[[], diff_model.Diff]] = {
    "shrinking": shrinking,
    "counts": lambda: shrinking(listed=False),
    "same": lambda: compared(passing(), passing(), "12.1 9.0"),
    "unsure": lambda: compared(passing(), undetermined()),
    "empty": lambda: compared(nothing(), passing()),
}


# ---- what is written ------------------------------------------------------------------------


@cache
def audits_of(case: str) -> list[Verdict]:
    return AUDITS[case]()


def audit_text(case: str, form: str) -> str:
    audits = audits_of(case)
    if form == "html":
        return page_text(audit_page(audits))
    reports = [report_of(one, kernels=case in LISTED) for one in audits]
    if form == "colour":
        return "\n".join(render_table(one, color=True) for one in reports)
    text = render(reports, form, to_terminal=False)
    return without_unused_rules(text) if form == "sarif" else text


def preflight_text(case: str, form: str) -> str:
    result = PREFLIGHTS[case]()
    match form:
        case "json":
            return render_json(result)
        case "markdown":
            return preflight_markdown.render_markdown(result)
        case "junit":
            return preflight_junit.render_junit([result])
        case "sarif":
            return without_unused_rules(preflight_sarif.render_sarif([result]))
        case "html":
            return page_text(preflight_page(result))
        case _:
            return preflight_table.render_table(result, color=form == "colour")


def diff_text(case: str, form: str) -> str:
    diff = DIFFS[case]()
    match form:
        case "json":
            return json_text(diff)
        case "markdown":
            return diff_markdown.render_markdown(diff)
        case _:
            return diff_table.render_table(diff, color=form == "colour")


def page_text(page: Page) -> str:
    """The data of a page; its script and style are files of their own."""
    return folded(json.loads(json_for_script(page)))


def folded(value: Any, indent: str = "") -> str:
    """JSON in which what fits one line stands in one line."""
    line = json.dumps(value, ensure_ascii=False)
    if len(indent + line) <= 100 or not isinstance(value, dict | list):
        return line
    inner = indent + " "
    if isinstance(value, list):
        parts = [folded(one, inner) for one in value]
        opening, closing = "[]"
    else:
        parts = [f"{json.dumps(key)}: {folded(one, inner)}" for key, one in value.items()]
        opening, closing = "{}"
    return f"{opening}\n{inner}" + f",\n{inner}".join(parts) + f"\n{indent}{closing}"


def without_unused_rules(text: str) -> str:
    """A SARIF log whose results name their rules, so that a new rule changes no golden file."""
    log = json.loads(text)
    for run in log["runs"]:
        rules = run["tool"]["driver"]["rules"]
        used = {result["ruleId"] for result in run["results"]}
        for result in run["results"]:
            assert rules[result.pop("ruleIndex")]["id"] == result["ruleId"]
        run["tool"]["driver"]["rules"] = [rule for rule in rules if rule["id"] in used]
    return json.dumps(log, indent=2, ensure_ascii=False)


ENDINGS = {
    "table": "txt", "colour": "ansi", "markdown": "md", "json": "json", "junit": "xml",
    "sarif": "sarif", "html": "page.json", "browser": "browser.txt",
}  # fmt: skip
FORMS = ("table", "markdown", "json", "junit", "sarif", "html")
WRITTEN: dict[tuple[str, str, str], Callable[[str, str], str]] = {
    **{
        ("audit", case, form): audit_text
        for case in AUDITS
        for form in FORMS
        if (case, form) not in LARGE
    },
    **{("audit", case, "colour"): audit_text for case in ("failing", "excused", "unasked")},
    **{("preflight", case, form): preflight_text for case in PREFLIGHTS for form in FORMS},
    ("preflight", "losing", "colour"): preflight_text,
    **{("diff", case, form): diff_text for case in DIFFS for form in FORMS[:3]},
    ("diff", "shrinking", "colour"): diff_text,
}


def held(command: str, case: str, form: str, text: str) -> None:
    """Compare a text with its golden file, or renew that."""
    text = text.rstrip("\n").replace(__version__, "VERSION") + "\n"
    file = GOLDEN / command / f"{case}.{ENDINGS[form]}"
    if RENEW:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8"), f"see {Path(__file__).name} how to renew it"


@pytest.mark.parametrize(("command", "case", "form"), WRITTEN)
def test_what_is_written_is_what_it_was(command: str, case: str, form: str) -> None:
    held(command, case, form, WRITTEN[command, case, form](case, form))


@pytest.mark.browser
@pytest.mark.parametrize(
    ("command", "case"),
    [
        ("audit", "failing"),
        ("audit", "excused"),
        ("audit", "unasked"),
        ("audit", "several"),
        ("preflight", "losing"),
    ],
)
def test_what_the_page_says_is_what_it_was(open_report: Any, command: str, case: str) -> None:
    page = audit_page(audits_of(case)) if command == "audit" else preflight_page(PREFLIGHTS[case]())
    opened = open_report(render_page(page), viewport={"width": 1280, "height": 900})
    shown = opened.page.locator("body").inner_text()
    lines = [line.rstrip() for line in shown.splitlines()]
    held(command, case, "browser", "\n".join(line for line in lines if line))


def test_no_golden_file_is_left_over() -> None:
    kept = {(command, f"{case}.{ENDINGS[form]}") for command, case, form in WRITTEN}
    found = {(file.parent.name, file.name) for file in GOLDEN.rglob("*.*")}
    assert {one for one in found if not one[1].endswith(".browser.txt")} == kept


HOLDS = {
    "audit/failing.txt": (
        "\n    and 3 more\n",
        "in 1 more family",
        "P 2 PTX",
        "- for others",
        "and 1 copy",
        "\nexcused by policy\n",
        "until 2027-01-01: made for Ampere alone",
    ),
    "audit/failing.md": (
        "in 1 more family",
        "| P 2 PTX |",
        "(gate.toml, until 2027-01-01): made for Ampere alone",
    ),
    "audit/failing.page.json": ('"state": "ptx"', '"reason": "made for Ampere alone'),
    "audit/unasked.txt": (
        "\nand 7 more\n",
        "● native   P part from PTX   ◐ kernels missing   ✗ nothing runs",
        "   P  ",
    ),
    "audit/excused.txt": (
        "e 5 excused",
        "P 20 excused",
        "P 1 PTX, 20 excused",
        "◐ 3 missing, 20 excused",
        "● native, 1,113 excused",
        "(gate.toml): old_*",
    ),
    "diff/shrinking.txt": ("and 2 more families", "and 4 more headings"),
    "diff/shrinking.md": ("and 2 more families", "and 4 more headings"),
    "preflight/losing.txt": ("Excused: upstream says so", "PTX only", "12.0 (not required)"),
    "preflight/losing.md": ("Excused: upstream says so", "PTX only", "12.0 (not required)"),
    "preflight/losing.sarif": ('"justification": "upstream says so"',),
}
"""What the golden files must show, so that renewing them cannot lose it unseen."""


@pytest.mark.parametrize("name", HOLDS)
def test_nothing_that_readers_rely_on_is_renewed_away(name: str) -> None:
    text = (GOLDEN / name).read_text(encoding="utf-8")
    assert [part for part in HOLDS[name] if part not in text] == []


@pytest.mark.parametrize("case", AUDITS)
def test_the_page_and_the_table_give_a_library_the_same_state(case: str) -> None:
    audits = audits_of(case)
    lines = {
        (audit.view.inventory.subject.name, line.name): [
            state_of(counts) for counts in line.devices.values()
        ]
        for audit in audits
        for line in outline.lines(report_of(audit))
    }
    for tab in audit_page(audits).tabs:
        for row in tab.rows:
            states = [cell.state for cell in row.cells]
            assert lines.get((tab.title, row.id), states) == states


@pytest.mark.parametrize("case", AUDITS)
def test_the_page_of_a_saved_report_says_the_same(case: str) -> None:
    audits = audits_of(case)
    reports = [saved.report_from_json(to_json(report_of(one))) for one in audits]
    of_audits, of_reports = audit_page(audits), saved_page(reports)
    for tab, again in zip(of_audits.tabs, of_reports.tabs, strict=True):
        assert [replace(one, families=()) for one in again.notes] == [
            replace(one, families=()) for one in tab.notes
        ]
        shown = [without_kernels(row) for row in tab.rows]
        assert [without_kernels(row) for row in again.rows] == shown
        assert without_details(again) == without_details(tab)
        assert len(again.excuses) == len(tab.excuses)
    assert of_reports.runs == of_audits.runs


def without_details(tab: Tab) -> Tab:
    return replace(tab, rows=(), notes=(), excuses=())


def without_kernels(row: Row) -> Row:
    """A row without what an audit alone knows: the families of every cell."""
    cells = tuple(replace(cell, excused=()) for cell in row.cells)
    return replace(row, cells=cells, groups=(), stored=(), facts=row.facts[:2])


def test_several_components_share_a_document() -> None:
    suites = ET.fromstring(preflight_junit.render_junit([losing(), keeping()]))
    assert [(one.get("tests"), one.get("failures")) for one in suites] == [("1", "1"), ("1", "0")]
    runs = json.loads(preflight_sarif.render_sarif([losing(), keeping()]))["runs"]
    assert [one["properties"]["verdict"] for one in runs] == ["fail", "pass"]
