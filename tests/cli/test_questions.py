"""`smforge devices`, `explain` and `report`, and devices asked for by name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from smforge.arch.devices import devices, named_device
from smforge.arch.requirement import parse_requirements
from smforge.arch.target import ComputeCapability
from smforge.report.text.rule_page import PAGES, rule_sections
from smforge.verdict.rules import RULES


def smforge(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "smforge", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_names_are_words_of_their_own() -> None:
    names = [name for one in devices() for name in one.names]
    assert len(set(names)) == len(names)
    assert all(name.isalnum() and name.islower() for name in names)


@pytest.mark.parametrize(
    ("word", "capability"),
    [("spark", "12.1"), ("RTX-5090", "12.0"), ("thor", "11.0"), ("B200", "10.0"), ("Orin", "8.7")],
)
def test_a_device_can_be_asked_for_by_name(word: str, capability: str) -> None:
    assert parse_requirements([word]).devices == (ComputeCapability.parse(capability),)


def test_a_word_that_is_nothing_is_refused_with_the_way_to_the_names() -> None:
    assert named_device("tapestry") is None
    done = smforge("audit", __file__, "--require", "tapestry")
    assert done.returncode == 2
    assert "smforge devices" in done.stderr
    assert "Did you mean spark?" in smforge("audit", __file__, "--require", "sprak").stderr


def test_every_current_device_is_listed_with_what_reaches_it() -> None:
    done = smforge("devices", "-o", "json")
    rows = {row["capability"]: row for row in json.loads(done.stdout)}
    assert rows["12.1"]["names"] == ["spark", "gb10"]
    assert rows["12.1"]["targets"] == ["sm_121", "sm_121f", "sm_121a"]
    assert (rows["12.1"]["first_toolkit"], rows["11.0"]["first_toolkit"]) == ("12.9", "13.0")
    assert (rows["9.0"]["or_older"], rows["9.0"]["first_driver"]) == (True, None)
    assert rows["12.0"]["family"] == ["12.0", "12.1"]
    assert "5.0" not in rows
    table = smforge("devices").stdout.splitlines()
    assert len(table) == len(rows) + 1
    assert any("RTX" in line and "rtx5090" in line for line in table)


def test_every_rule_is_explained() -> None:
    listed = smforge("explain")
    assert all(one.id in listed.stdout for one in RULES)
    for one in RULES:
        section = rule_sections()[one.id]
        assert f"**{one.level}**" in section
        assert "\n## " not in section
        assert "](" not in section


@pytest.mark.parametrize("name", list(PAGES))
def test_the_pages_that_messages_name_are_shown(name: str) -> None:
    done = smforge("explain", name)
    assert done.returncode == 0
    assert done.stdout.startswith("# ")
    assert "](" not in done.stdout
    assert name in smforge("explain").stdout


def test_a_wrong_flag_gets_the_nearest_one_alone() -> None:
    done = smforge("audit", "--requires", "12.1", __file__)
    assert done.returncode == 2
    assert "Did you mean '--require'?" in done.stderr
    assert "--quiet" not in done.stderr


def test_a_rule_that_is_mistyped_gets_a_suggestion() -> None:
    assert "no kernel image" in smforge("explain", "device-missing").stdout
    assert "Of preflight: **error**" in smforge("explain", "source-lost").stdout
    both = smforge("explain", "target-missing").stdout
    assert rule_sections()["target-missing"] in both
    assert "Of preflight" in both
    done = smforge("explain", "kernel-missing")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Did you mean kernels-missing?" in done.stderr


@pytest.mark.toolchain
def test_a_saved_report_is_rendered_as_the_audit_would(nvcc: Path, tmp_path: Path) -> None:
    (tmp_path / "k.cu").write_text("__global__ void k() {}\nvoid go() { k<<<1, 1>>>(); }\n")
    library = tmp_path / "k.so"
    flags = ("-gencode=arch=compute_90,code=sm_90", "-shared", "-Xcompiler=-fPIC")
    command = (nvcc, *flags, "-o", library, "k.cu")
    subprocess.run(command, cwd=tmp_path, check=True)
    saved = tmp_path / "saved.json"
    audit = smforge("audit", library, "--require", "12.1", "-o", f"json={saved}", "-o", "table")
    assert audit.returncode == 1
    again = smforge("report", saved)
    assert (again.returncode, again.stdout) == (1, audit.stdout)
    markdown = smforge("audit", library, "--require", "12.1", "-o", "markdown").stdout
    assert smforge("report", saved, "-o", "markdown").stdout == markdown
    refused = smforge("audit", saved, "--require", "12.1")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert f"smforge report {saved}" in refused.stderr
    explained = smforge("explain", saved)
    assert explained.returncode == 0
    assert rule_sections()["device-missing"] in explained.stdout
    assert "k.so" in explained.stdout.partition("Found:")[2]
    log = json.loads(smforge("report", saved, "-o", "sarif").stdout)
    for rule in log["runs"][0]["tool"]["driver"]["rules"]:
        assert rule["help"]["text"] == rule["help"]["markdown"] == rule_sections()[rule["id"]]
    both = tmp_path / "both.json"
    several = smforge("audit", library, library, "-o", both, "-o", "table")
    again = smforge("report", both)
    assert (again.returncode, again.stdout) == (several.returncode, several.stdout)
    assert "smforge report" in smforge("audit", both).stderr


@pytest.mark.parametrize("content", ["{}", "[]", "no json", '{"schema_version": 1}'])
def test_what_is_no_report_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(content)
    done = smforge("report", tmp_path / "x.json")
    assert (done.returncode, done.stdout) == (2, "")
    assert "is no report" in done.stderr
    os.mkfifo(tmp_path / "pipe")
    assert smforge("report", tmp_path / "pipe").returncode == 2
