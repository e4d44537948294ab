"""The report for people and for other tools: readable, within limits, valid."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace

import pytest
from markdown_it import MarkdownIt
from sarif_pydantic import Sarif

from smforge.arch.target import Target
from smforge.inventory.records import CodeObject, FileInventory, Kind, Origin, Region
from smforge.report import finding_groups, outline
from smforge.report.junit import render_junit
from smforge.report.markdown import MOST_BYTES, render_markdown
from smforge.report.model import Report
from smforge.report.sarif import render_sarif
from smforge.report.table import render_table
from smforge.verdict.rules import RULES

MakeReport = Callable[..., Report]


class TestOutline:
    def test_what_fails_comes_first(self, full_report: Report) -> None:
        levels = [group.level for group in finding_groups.groups(full_report)]
        assert levels == sorted(levels, key=finding_groups.LEVELS.index)
        assert levels[0] == "error"

    def test_findings_of_a_rule_are_told_as_one(self, make_report: MakeReport) -> None:
        (missing, *_) = finding_groups.groups(make_report("9.0"))
        assert (missing.rule, missing.about) == ("device-missing", "9.0")
        assert [row.file for row in missing.rows] == ["part.so", "hidden.so", "odd|name`<b>&.so"]

    def test_the_worst_library_is_the_first(self, make_report: MakeReport) -> None:
        assert outline.lines(make_report("12.1"))[0].name == "part.so"

    def test_a_family_stands_for_its_kernels(self, make_report: MakeReport) -> None:
        (missing, *_) = finding_groups.groups(make_report("12.1"))
        (row,) = missing.rows
        assert row.share == "5 of 7 kernels"
        assert [(one.name, one.count) for one in row.families] == [("add<…>", 4), ("plain", 1)]

    def test_findings_that_repeat_per_device_stand_once(
        self, make_report: MakeReport, part: FileInventory
    ) -> None:
        report = make_report("9.0 10.0 11.0 12.1", files=(part,))
        missing, part_missing = (g for g in finding_groups.groups(report) if g.level == "error")
        assert (missing.rule, missing.about) == ("device-missing", "9.0 10.0 11.0")
        assert "can run on 9.0, 10.0 and 11.0." in missing.told
        assert (missing.remedy or "").startswith("Build it for 9.0, 10.0 and 11.0,")
        assert (part_missing.rule, part_missing.about) == ("kernels-missing", "12.1")

    def test_identical_copies_share_a_row(self, make_report: MakeReport) -> None:
        report = make_report("9.0")
        copies = [replace(f, sha256="0" * 64) for f in report.files]
        (missing, *_) = finding_groups.groups(replace(report, files=tuple(copies)))
        (row,) = missing.rows
        assert row.file == "part.so and 2 copies"

    def test_code_without_kernels_is_not_said_to_run_nowhere(self, make_report: MakeReport) -> None:
        unlinked = CodeObject(Kind.LTO_IR, Target.parse("sm_90"), 500)
        region = Region(Origin.FATBIN, ".nv_fatbin", 0, (unlinked,))
        report = make_report(files=(FileInventory("a.a", 1, None, (region,)),))
        assert outline.headline(report) == (
            "Nothing was required, so this is no pass. No kernel of it could be judged."
        )
        assert "none" not in render_table(report)
        assert "nothing to judge" in render_markdown([report])

    def test_rules_of_another_release_are_rendered_too(self, full_report: Report) -> None:
        """A saved report may be older or newer than the program that renders it."""
        known, *others = full_report.findings
        strange = replace(known, rule="rule-to-come", message="What it says.")
        report = replace(full_report, findings=(strange, *others))
        texts = [render_table(report), render_markdown([report]), render_junit([report])]
        assert all("rule-to-come" in text and "What it says." in text for text in texts)
        (run,) = json.loads(render_sarif([report]))["runs"]
        rules = run["tool"]["driver"]["rules"]
        assert rules[run["results"][0]["ruleIndex"]]["id"] == "rule-to-come"

    def test_headlines(
        self, make_report: MakeReport, full_report: Report, part: FileInventory
    ) -> None:
        assert outline.headline(make_report("12.0f sm_80")) == "Covers 12.0f sm_80."
        assert outline.headline(make_report()) == (
            "Nothing was required, so this is no pass. It runs in part on 8.0 8.6 8.9 9.0 10.0 "
            "10.3 11.0 12.0 12.1, does not run on 7.5 8.7."
        )
        assert "kernels-missing (1)" in outline.headline(full_report)
        assert outline.headline(full_report).startswith("Does not cover 12.1 sm_100:")
        on_one = outline.headline(make_report("8.0 12.1", files=(part,)))
        assert on_one == "Does not cover 12.1 (it covers 8.0): kernels-missing (1)."
        assert outline.headline(make_report(files=())).startswith("No GPU code")
        assert outline.headline(make_report("12.0", files=(), damaged=True)).startswith(
            "No verdict: 1 thing"
        )


class TestTable:
    @pytest.mark.parametrize("words", ["", "12.1", "12.1 11.0 9.0", "12.1 11.0 9.0 8.0"])
    @pytest.mark.parametrize("width", [100, 80])
    def test_it_fits(self, make_report: MakeReport, words: str, width: int) -> None:
        text = render_table(make_report(words), width=width)
        assert max(map(len, text.splitlines())) <= width
        assert "\x1b" not in text

    def test_the_answer_is_near_the_top(self, full_report: Report) -> None:
        lines = render_table(full_report).splitlines()
        assert lines[0] == "thing.whl"
        assert any(line.startswith("FAIL") for line in lines[:6])

    def test_colours_are_only_there_when_wanted(self, full_report: Report) -> None:
        assert "\x1b[" in render_table(full_report, color=True)

    def test_excuses_are_shown_with_their_reason(self, full_report: Report) -> None:
        text = render_table(full_report)
        assert "(gate.toml): plain in part.so" in text
        assert "made for Ampere alone" in text

    def test_foreign_text_is_no_markup(self, full_report: Report) -> None:
        assert "odd|name`<b>&.so" in render_table(full_report)

    @pytest.mark.parametrize(
        ("width", "head", "legend"),
        [
            (140, "size CUDA kernels 9.0", False),
            (100, "kernels 9.0", False),
            (80, "kernels 9.0", True),
        ],
    )
    def test_what_json_has_too_makes_room_for_names_and_then_words_do(
        self, make_report: MakeReport, width: int, head: str, legend: bool
    ) -> None:
        code = CodeObject(Kind.CUBIN, Target.parse("sm_80"), 1, None, "13.0", kernels=("k",) * 999)
        region = Region(Origin.FATBIN, ".nv_fatbin", 0, (code,))
        name = "pkg/some_long_folder/_a_long_name.abi3.so"
        report = make_report("9.0 11.0 12.1", files=(FileInventory(name, 1, None, (region,)),))
        lines = render_table(report, width=width).split("\n")
        at = next(index for index, line in enumerate(lines) if line.startswith("library"))
        assert lines[at].split(maxsplit=1)[1].startswith(head)
        assert lines[at + 1].split()[0].count("…") <= 1
        assert len(lines[at + 1].split()[0]) >= 34
        assert ("✗ nothing runs" in lines[at + 2]) is legend

    def test_a_number_stays_with_its_word(self, full_report: Report) -> None:
        for width in range(50, 110):
            _, _, devices, *_ = render_table(full_report, width=width).split("\n\n")
            assert not any(line.split()[-1].isdigit() for line in devices.splitlines())


@pytest.mark.parametrize("render", [render_table, lambda report: render_markdown([report])])
def test_control_characters_of_foreign_names_reach_no_terminal(
    make_report: MakeReport, part: FileInventory, render: Callable[[Report], str]
) -> None:
    nasty = "\x1b[31mred\nline\u202e.so"
    (region,) = part.regions
    objects = (region.objects[0]._replace(kernels=("k\x1b]0;title\x07",)),)
    file = part._replace(path=nasty, regions=(region._replace(objects=objects),))
    text = render(make_report("12.1 sm_100", files=(file,), kernels=True))
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
    assert "x1b" in text


class TestMarkdown:
    def test_foreign_text_is_no_markup(self, full_report: Report) -> None:
        text = render_markdown([full_report])
        tokens = MarkdownIt("commonmark").enable("table").parse(text)
        inline = [child for token in tokens for child in token.children or ()]
        assert {one.content for one in inline if one.type == "html_inline"} <= {"<code>", "</code>"}
        assert not {one.type for one in inline} & {"link_open", "image"}
        assert "odd<b>|`" in {one.content for one in inline if one.type == "code_inline"}
        rows = [token for token in tokens if token.type == "tr_open"]
        cells = [token for token in tokens if token.type in {"td_open", "th_open"}]
        devices, libraries = len(full_report.devices), len(full_report.files)
        assert len(rows) == devices + libraries + 2
        assert len(cells) == 7 * (devices + 1) + (3 + devices) * (libraries + 1)

    def test_it_fits_a_step_summary(self, full_report: Report) -> None:
        text = render_markdown([full_report] * 3000)
        assert len(text.encode()) <= MOST_BYTES
        assert text.rstrip().endswith("has all of it.*")
        assert len(render_markdown([full_report]).encode()) < 20_000


class TestJunit:
    def test_each_library_is_a_case_on_each_required_device(self, make_report: MakeReport) -> None:
        root = ET.fromstring(render_junit([make_report("12.1 9.0")]))
        cases = {(c.get("classname"), c.get("name")): c for c in root.iter("testcase")}
        assert cases["part.so", "runs on 12.1"].find("failure") is not None
        assert cases["good.so", "runs on 12.1"].find("failure") is None
        failures = sum(case.find("failure") is not None for case in cases.values())
        assert root.get("failures") == str(failures)
        assert root.get("tests") == str(len(cases))

    def test_only_what_runs_passes(self, full_report: Report) -> None:
        root = ET.fromstring(render_junit([full_report]))
        cases = {(c.get("classname"), c.get("name")): c for c in root.iter("testcase")}
        skipped = {place for place, case in cases.items() if case.find("skipped") is not None}
        for file in full_report.files:
            for device, tally in file.devices.items():
                case = cases.get((file.path, f"runs on {device}"))
                if case is not None and not tally.native + tally.ptx:
                    assert len(case) > 0, (file.path, device)
        assert root.get("skipped") == str(len(skipped)) != "0"
        assert not any(cases[place].find("failure") is not None for place in skipped)

    def test_a_library_of_which_nothing_is_known_does_not_pass(
        self, make_report: MakeReport
    ) -> None:
        report = make_report("12.1")
        whole = replace(
            next(one for one in report.findings if one.level == "error"),
            rule="device-link-missing",
            file="good.so",
            device=None,
        )
        root = ET.fromstring(render_junit([replace(report, findings=(whole,))]))
        cases = {(c.get("classname"), c.get("name")): c for c in root.iter("testcase")}
        skipped = cases["good.so", "runs on 12.1"].find("skipped")
        assert skipped is not None
        assert skipped.get("message") == "device-link-missing"

    def test_doubt_is_an_error(self, make_report: MakeReport) -> None:
        root = ET.fromstring(render_junit([make_report("12.0", files=(), damaged=True)]))
        assert root.get("errors") == "1"

    def test_names_that_xml_cannot_hold(self, full_report: Report) -> None:
        report = replace(
            full_report,
            findings=tuple(replace(one, message="a\x00b\ud800") for one in full_report.findings),
        )
        assert ET.fromstring(render_junit([report])) is not None


class TestSarif:
    def test_it_is_sarif(self, full_report: Report) -> None:
        text = render_sarif([full_report, full_report])
        log = Sarif.model_validate_json(text)
        assert len(log.runs) == 2
        (run, _) = json.loads(text)["runs"]
        assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == [r.id for r in RULES]
        for result in run["results"]:
            assert RULES[result["ruleIndex"]].id == result["ruleId"]
        assert len(run["results"]) == len(full_report.findings)

    def test_runs_of_one_log_differ_in_their_category(self, full_report: Report) -> None:
        """GitHub refuses a log in which two runs have one tool and one `automationDetails.id`."""
        other = replace(full_report, subject=replace(full_report.subject, name="other.whl"))
        runs = json.loads(render_sarif([full_report, other, full_report]))["runs"]
        name = full_report.subject.name
        ids = [run["automationDetails"]["id"] for run in runs]
        assert ids == [f"smforge/{name}/", "smforge/other.whl/", f"smforge/{name} (2)/"]
        (alone,) = json.loads(render_sarif([full_report]))["runs"]
        assert "automationDetails" not in alone
        image = replace(full_report.subject, kind="image", name="vllm:1", platform="linux/arm64")
        runs = json.loads(render_sarif([other, replace(full_report, subject=image)]))["runs"]
        assert runs[1]["automationDetails"]["id"] == "smforge/vllm:1 linux/arm64/"

    def test_an_alert_keeps_its_fingerprint_when_counts_change(
        self, make_report: MakeReport
    ) -> None:
        def prints(report: Report) -> set[str]:
            (run,) = json.loads(render_sarif([report]))["runs"]
            return {one["partialFingerprints"]["smforge/v1"] for one in run["results"]}

        before = make_report("12.1")
        after = replace(
            before, findings=tuple(replace(one, message="other") for one in before.findings)
        )
        assert prints(before) == prints(after)
        assert len(prints(before)) == len(before.findings)

    def test_uris_are_escaped(self, make_report: MakeReport) -> None:
        (run,) = json.loads(render_sarif([make_report("9.0")]))["runs"]
        uris = {
            one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
            for one in run["results"]
        }
        assert "odd%7Cname%60%3Cb%3E%26.so" in uris


def test_thousands_of_cubins_are_one_line(full_report: Report) -> None:
    base = full_report.files[0]
    files = tuple(replace(base, path=f"cubins/{n}.cubin") for n in range(500))
    (line,) = outline.lines(replace(full_report, files=files))
    assert line.name == "cubins/ (500 cubins)"
    assert line.size == 500 * base.size
