"""``smforge preflight`` from outside: formats, exit codes, what it says when it cannot."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest

import smforge as package
from smforge.preflight.rules import RULE_BY_ID

Smforge = Callable[..., subprocess.CompletedProcess[str]]
ROOT = Path(__file__).parents[2]
SCHEMA = Path(package.__file__).parent / "report" / "data" / "preflight.schema.json"


@pytest.fixture
def smforge(tmp_path: Path) -> Smforge:
    """Run the command with a cache of its own."""

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "smforge", "preflight", *map(str, words)],
            env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "xdg")},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_a_list_that_loses_nothing_passes(smforge: Smforge, small_tree: Path) -> None:
    """12.0f gets csrc/forgotten.cu, which nobody chose an architecture for: no machine code."""
    done = smforge("--source", small_tree, "--cuda", "13.0", "--archs", "12.0", "-o", "json")
    assert (done.returncode, done.stderr) == (1, "")
    lost = {name for one in json.loads(done.stdout)["findings"] for name in one["sources"]
            if one["level"] == "error"}  # fmt: skip
    assert lost == {"csrc/fp4.cu"}
    done = smforge("--source", small_tree, "--cuda", "13.0", "--archs", "12.0", "--allow",
                   "csrc/fp4.cu", "-o", "json")  # fmt: skip
    report = json.loads(done.stdout)
    assert (done.returncode, report["verdict"]) == (0, "pass")
    reason = "allowed on the command line, without a written reason"
    assert reason in {one["allowed"] for one in report["findings"]}


def test_every_form_of_the_report(smforge: Smforge, small_tree: Path, tmp_path: Path) -> None:
    done = smforge(
        "--source", small_tree, "--cuda", "13.0", "--archs", "12.1a",
        "-o", "table", "-o", f"json={tmp_path}/r.json", "-o", f"markdown={tmp_path}/r.md",
        "-o", f"junit={tmp_path}/r.xml", "-o", f"sarif={tmp_path}/r.sarif",
        "-o", f"html={tmp_path}/r.html", "--list-sources",
    )  # fmt: skip
    assert done.returncode == 1
    assert "source-lost: 1 source that 12.0f gets is not compiled for 12.1a" in done.stdout
    assert f"CMakeLists.txt:{_line(small_tree)}" in done.stdout
    markdown = (tmp_path / "r.md").read_text()
    assert "| \\_C | 12.1a | - | 1 |" in markdown
    assert "**error** `source-lost`" in markdown
    report = json.loads((tmp_path / "r.json").read_text())
    jsonschema.validate(report, json.loads(SCHEMA.read_text()))
    assert report["verdict"] == "fail"
    counts = {"native": 1, "ptx": 2, "foreign": 0, "missing": 2}
    judged = {"required": True, "compared_with": ["12.0f", "12.0"]}
    assert report["devices"] == {"12.1": {**counts, **judged}}


def test_a_refused_build_is_a_finding(smforge: Smforge, small_tree: Path) -> None:
    done = smforge("--source", small_tree, "--cuda", "13.0", "--archs", "11.0", "-o", "json")
    report = json.loads(done.stdout)
    jsonschema.validate(report, json.loads(SCHEMA.read_text()))
    assert done.returncode == 1
    assert "build-refused" in {one["rule"] for one in report["findings"]}
    assert report["units"] == []


def test_a_named_baseline_takes_the_place_of_the_siblings(
    smforge: Smforge, small_tree: Path
) -> None:
    done = smforge("--source", small_tree, "--cuda", "13.0", "--archs", "12.1a",
                   "--baseline", "12.1a", "-o", "json")  # fmt: skip
    report = json.loads(done.stdout)
    assert done.returncode == 0
    assert [one["archs"] for one in report["baselines"]] == ["12.1a"]


@pytest.mark.parametrize(
    "case",
    [
        ((), "Name either a variant"),
        (("--source", "nowhere", "--cuda", "13.0", "--archs", "12.0"), "There is no nowhere"),
        (("--source", ".", "--cuda", "13.0", "--archs", "12.0"), "neither vLLM's nor"),
        (("--source", "TREE", "--cuda", "13.0"), "--source needs --cuda and --archs"),
        (("--source", "TREE", "--cuda", "1.0", "--archs", "12.0"), "CUDA 1.0 is not"),
        (("--source", "TREE", "--cuda", "13.0", "--archs", "Hopper"), "as numbers"),
        (("--source", "TREE", "--cuda", "13.0", "--archs", "12.0", "--require", ","),
         "names no device and no target"),
        (("--source", "TREE", "--cuda", "13.0", "--archs", "12.0", "--require", "12.0g"),
         "neither a device nor a target"),
        (("demo", "--require", "12.0"), "--require is for --source"),
        (("--source", "TREE", "--cuda", "13.0", "--archs", "12.0", "--external", "x"),
         "not NAME=DIR"),
        (("--source", "TREE", "--cuda", "13.0", "--archs", "12.0", "--external", "x=nowhere"),
         "is not a directory"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_one_sentence(
    smforge: Smforge,
    small_tree: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    case: tuple[tuple[str, ...], str],
) -> None:
    words, said = case
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(package.__file__).parents[1]))
    done = smforge(*(str(small_tree) if word == "TREE" else word for word in words))
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_what_is_required_decides_and_not_what_is_asked_for(
    smforge: Smforge, small_tree: Path
) -> None:
    asked = ("--source", small_tree, "--cuda", "13.0", "--archs", "9.0a 12.1a",
             "--allow", "*/mla.cu", "-o", "json")  # fmt: skip
    assert smforge(*asked).returncode == 1
    done = smforge(*asked, "--require", "9.0 sm_90a")
    assert done.returncode == 0
    assert {one["level"] for one in json.loads(done.stdout)["findings"]} == {"warning", "note"}
    done = smforge(*asked, "--require", "9.0,10.3")
    dropped = [one for one in json.loads(done.stdout)["findings"] if one["level"] == "error"]
    assert [(one["rule"], one["device"]) for one in dropped] == [("arch-dropped", "10.3")]
    done = smforge(*asked, "--require", "9.0", "--require", "compute_90")
    missing = [one for one in json.loads(done.stdout)["findings"] if one["level"] == "error"]
    assert [one["rule"] for one in missing] == ["target-missing"]


@pytest.mark.parametrize("form", ["table", "markdown"])
def test_the_answer_leads_and_the_sources_come_on_request(
    smforge: Smforge, small_tree: Path, form: str
) -> None:
    asked = ("--source", small_tree, "--cuda", "13.0", "--archs", "12.1a", "-o", form)
    lines = smforge(*asked).stdout.splitlines()
    places = [
        next(number for number, line in enumerate(lines) if text in line.lower())
        for text in ("fail", "compared with", "csrc/fp4.cu")
    ]
    assert places == sorted(places)
    assert not any("machine code for" in line for line in lines)
    assert not any("Not building FP4" in line for line in lines)
    whole = smforge(*asked, "--list-sources").stdout.splitlines()
    assert whole[: len(lines)] == lines
    assert any("machine code for" in line for line in whole)
    assert any("Not building FP4" in line for line in whole)


def test_sarif_stands_at_the_line_that_chose(smforge: Smforge, small_tree: Path) -> None:
    done = smforge("--source", small_tree, "--cuda", "13.0", "--archs", "12.1a", "-o", "sarif")
    (run,) = json.loads(done.stdout)["runs"]
    lost = [one for one in run["results"] if one["ruleId"] == "source-lost"]
    place = lost[0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "CMakeLists.txt"
    line = (
        (small_tree / "CMakeLists.txt").read_text().splitlines()[place["region"]["startLine"] - 1]
    )
    assert line.strip().startswith('gencode("csrc/fp4.cu"')
    assert all(run["tool"]["driver"]["rules"][one["ruleIndex"]]["id"] == one["ruleId"]
               for one in run["results"])  # fmt: skip


def test_junit_has_a_case_per_requested_target(smforge: Smforge, small_tree: Path) -> None:
    done = smforge("--source", small_tree, "--cuda", "13.0", "--archs", "12.0a 12.1a",
                   "-o", "junit")  # fmt: skip
    suites = ElementTree.fromstring(done.stdout)
    failed = {
        case.get("name"): case.find("failure") is not None for case in suites.iter("testcase")
    }
    assert failed["compiles for 12.1a"]
    assert suites.get("failures") == str(sum(failed.values()))


def test_junit_fails_each_device_that_a_cause_holds_for(smforge: Smforge, small_tree: Path) -> None:
    """FP4 is lost on 12.0 and 12.1 for the same line, and 10.3 is in no list."""
    done = smforge("--source", small_tree, "--cuda", "13.0", "--archs", "12.0 12.1a",
                   "--require", "10.3,12.0,12.1", "-o", "junit")  # fmt: skip
    suites = ElementTree.fromstring(done.stdout)
    failed = {
        case.get("name"): case.find("failure") is not None for case in suites.iter("testcase")
    }
    assert failed["compiles for 12.0"]
    assert failed["compiles for 12.1a"]
    assert failed["runs on 10.3"]
    assert suites.get("failures") == str(sum(failed.values()))


def test_every_rule_is_described_and_used() -> None:
    folder = Path(package.__file__).parent / "preflight"
    used = {
        name
        for module in folder.rglob("*.py")
        for name in re.findall(r'rule="([a-z-]+)"', module.read_text())
    }
    # Two rules of one finding, and one without keywords.
    used |= {"source-lost", "source-ptx-only", "toolkit-lacks-target"}
    documented = (ROOT / "docs" / "preflight.md").read_text()
    assert used == set(RULE_BY_ID)
    assert all(f"| `{rule}` |" in documented for rule in RULE_BY_ID)


def _line(tree: Path) -> int:
    """Where the small tree says that it leaves FP4 out."""
    lines = (tree / "CMakeLists.txt").read_text().splitlines()
    return next(n for n, line in enumerate(lines, start=1) if "Not building FP4" in line)
