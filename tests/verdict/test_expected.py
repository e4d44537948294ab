"""Predicted against embedded: hand-made libraries for every difference, and one compiled one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from smforge.errors import ConfigurationError
from smforge.findings import Finding, Level, Outcome
from smforge.inventory.options import ReadOptions
from smforge.inventory.records import FileInventory, Inventory
from smforge.inventory.survey import take_inventory
from smforge.verdict.expectation import expectations_of, read_expectation, symbol_name
from smforge.verdict.judge import judge
from smforge.verdict.reading import Reading
from smforge.verdict.request import AuditRequest

MakeFile = Callable[..., FileInventory]
MakeInventory = Callable[..., Inventory]
KERNEL = ("kernel",)


def _report(*units: tuple[str, str, str], extension: str = "_C") -> dict[str, Any]:
    """A report of units (source, targets, PTX)."""
    return {
        "schema_version": 1,
        "units": [
            {"extension": extension, "source": name, "targets": binary.split(), "ptx": ptx.split()}
            for name, binary, ptx in units
        ],
    }


def _library(make_file: MakeFile, *regions: tuple[str | None, str, str]) -> FileInventory:
    """A library of regions (source, machine code, PTX)."""
    code = [
        tuple((name, KERNEL) for name in (*binary.split(), *ptx.split()))
        for _, binary, ptx in regions
    ]
    file = make_file("vllm/_C.abi3.so", *code)
    named = zip(file.regions, regions, strict=True)
    return file._replace(regions=tuple(one._replace(source=name) for one, (name, _, _) in named))


def _findings(inventory: Inventory, report: dict[str, Any]) -> list[Finding]:
    terms = AuditRequest(expectations=expectations_of(report, "preflight.json"))
    found = judge(Reading(inventory), terms).findings
    return [one for one in found if one.rule.startswith("expected")]


def test_what_was_predicted_and_is_embedded_is_no_finding(
    make_file: MakeFile, make_inventory: MakeInventory
) -> None:
    library = _library(
        make_file, ("a.cu", "sm_120f", ""), ("m.cu", "sm_80", "compute_80"), (None, "sm_90a", "")
    )
    report = _report(
        ("csrc/a.cu", "12.0f", ""), ("csrc/m.cu", "8.0", "8.0"), ("csrc/unnamed.cu", "9.0a", "")
    )
    assert _findings(make_inventory(library), report) == []


@pytest.mark.parametrize(
    "case",
    [
        (("a.cu", "sm_90a", ""), "9.0a 12.0f", Level.ERROR, "machine code for 12.0f and did not"),
        (("a.cu", "sm_90a sm_120f", ""), "9.0a", Level.WARNING, "for 12.0f, which was not"),
        ((None, "sm_90a", ""), "9.0a 12.0f", Level.ERROR, "machine code for 12.0f and did not"),
        (("a.cu", "sm_90a", "compute_90"), "9.0a", Level.WARNING, "embedded as PTX for 9.0"),
    ],
)
def test_a_different_set_of_targets_is_a_finding(
    make_file: MakeFile,
    make_inventory: MakeInventory,
    case: tuple[tuple[str | None, str, str], str, Level, str],
) -> None:
    embedded, predicted, level, said = case
    inventory = make_inventory(_library(make_file, embedded))
    (finding,) = _findings(inventory, _report(("csrc/a.cu", predicted, "")))
    assert (finding.rule, finding.level) == ("expected-not-embedded", level)
    assert finding.file == "vllm/_C.abi3.so"
    assert said in finding.message
    assert "csrc/a.cu" in finding.message


def test_a_source_that_is_not_there_is_an_error(
    make_file: MakeFile, make_inventory: MakeInventory
) -> None:
    inventory = make_inventory(_library(make_file, ("a.cu", "sm_120f", "")))
    report = _report(("csrc/a.cu", "12.0f", ""), ("csrc/dropped.cu", "12.0f", ""))
    (finding,) = _findings(inventory, report)
    assert finding.level is Level.ERROR
    assert "csrc/dropped.cu" in finding.message
    assert str(finding.target) == "12.0f"


def test_of_regions_without_names_it_is_known_how_many_are_absent(
    make_file: MakeFile, make_inventory: MakeInventory
) -> None:
    library = _library(make_file, (None, "sm_120f", ""), (None, "sm_120f", ""))
    report = _report(*((f"csrc/marlin_{one}.cu", "12.0f", "") for one in "abc"))
    (finding,) = _findings(make_inventory(library), report)
    assert "1 of these 3 sources were predicted for 12.0f" in finding.message
    assert "csrc/marlin_a.cu, csrc/marlin_b.cu, csrc/marlin_c.cu" in finding.message


def test_a_region_that_nothing_predicts_is_a_warning(
    make_file: MakeFile, make_inventory: MakeInventory
) -> None:
    library = _library(
        make_file, ("a.cu", "sm_120f", ""), ("more.cu", "sm_120f", ""), (None, "sm_90a", "")
    )
    found = _findings(make_inventory(library), _report(("csrc/a.cu", "12.0f", "")))
    assert [one.level for one in found] == [Level.WARNING, Level.WARNING]


def test_namesakes_of_one_extension_are_told_apart_by_what_they_hold(
    make_file: MakeFile, make_inventory: MakeInventory
) -> None:
    library = _library(make_file, ("common.cu", "sm_90a", ""), ("common.cu", "sm_120f", ""))
    report = _report(("csrc/x/common.cu", "12.0f", ""), ("csrc/y/common.cu", "9.0a", ""))
    assert _findings(make_inventory(library), report) == []


def test_a_missing_library_is_an_error_and_an_unknown_one_a_note(
    make_file: MakeFile, make_inventory: MakeInventory
) -> None:
    inventory = make_inventory(_library(make_file, ("a.cu", "sm_120f", "")))
    report = _report(("csrc/a.cu", "12.0f", ""), extension="_moe_C")
    assert [one.level for one in _findings(inventory, report)] == [Level.ERROR, Level.NOTE]


def test_without_names_nothing_can_be_said(
    make_file: MakeFile, make_inventory: MakeInventory
) -> None:
    inventory = make_inventory(make_file("vllm/_C.abi3.so", (("sm_120f", None),)))
    terms = AuditRequest(
        expectations=expectations_of(_report(("csrc/a.cu", "12.0f", "")), "p.json")
    )
    verdict = judge(Reading(inventory), terms)
    assert [one.rule for one in verdict.findings] == ["expected-unread"]
    assert verdict.outcome is Outcome.UNDETERMINED


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema_version": 1}', '{"schema_version": 1, "units": []}',
             '{"schema_version": 1, "units": [{"extension": "_C"}]}',
             '{"schema_version": 2, "units": []}']
)  # fmt: skip
def test_what_is_not_a_preflight_report_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "report.json"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=r"report\.json"):
        read_expectation(str(file))


def _two_builds() -> dict[str, Any]:
    report = _report(("csrc/a.cu", "12.0f", ""), ("csrc/a.cu", "9.0a", ""))
    for unit, build in zip(report["units"], ("sm120f", "sm90a"), strict=True):
        unit["build"] = build
    return report


def test_each_build_is_held_against_its_own_files(
    make_file: MakeFile, make_inventory: MakeInventory
) -> None:
    family = _library(make_file, ("a.cu", "sm_120f", ""))._replace(path="one.whl/_C.so")
    hopper = _library(make_file, ("a.cu", "sm_90a", ""))._replace(path="two.whl/_C.so")
    expectations = {one.build: one for one in expectations_of(_two_builds(), "preflight.json")}

    def levels(sm120f: str, sm90a: str) -> list[Level]:
        terms = AuditRequest(
            expectations=(
                replace(expectations["sm120f"], within=(sm120f,)),
                replace(expectations["sm90a"], within=(sm90a,)),
            )
        )
        found = judge(Reading(make_inventory(family, hopper)), terms).findings
        return [one.level for one in found if one.rule == "expected-not-embedded"]

    assert levels("one.whl/", "two.whl/") == []
    assert levels("two.whl/", "two.whl/") == [Level.ERROR, Level.WARNING]
    assert levels("one.whl/", "three.whl/") == [Level.ERROR]


def test_a_report_of_several_builds_needs_the_name_of_one(tmp_path: Path) -> None:
    file = tmp_path / "preflight.json"
    file.write_text(json.dumps(_two_builds()))
    with pytest.raises(ConfigurationError, match=r"is about sm120f, sm90a.*#sm120f"):
        read_expectation(str(file))
    with pytest.raises(ConfigurationError, match="is about sm120f, sm90a"):
        read_expectation(f"{file}#sm80")
    found = read_expectation(f"{file}#sm90a")
    assert [str(one) for one in found.extensions["_C"][0].targets] == ["9.0a"]


def test_a_symbol_cannot_hold_every_character_of_a_file_name() -> None:
    assert symbol_name("csrc/a-b/flash-fwd.sm90.cu") == "flash_fwd_sm90_cu"


@pytest.mark.toolchain
def test_a_dropped_unit_of_a_compiled_library_is_found(nvcc: Path, tmp_path: Path) -> None:
    """Two units are predicted; the library is linked with both, then with one of them left out."""
    units = {"first-kernel.cu": ["90a"], "second.cu": ["80", "120f"]}
    objects: list[Path] = []
    for name, targets in units.items():
        source = tmp_path / name
        source.write_text(
            "static __device__ int state;\n"
            f"__global__ void kernel_{len(objects)}(int *out) {{ *out = ++state; }}\n"
            f"void start_{len(objects)}(int *out) {{ kernel_{len(objects)}<<<1, 1>>>(out); }}\n"
        )
        flags = [f"-gencode=arch=compute_{one},code=sm_{one}" for one in targets]
        objects.append(tmp_path / f"{name}.o")
        _run(nvcc, *flags, "-Xcompiler=-fPIC", "-c", source, "-o", objects[-1])
    report = _report(("csrc/first-kernel.cu", "9.0a", ""), ("csrc/second.cu", "8.0 12.0f", ""))
    (tmp_path / "report.json").write_text(json.dumps(report))
    terms = AuditRequest(expectations=(read_expectation(str(tmp_path / "report.json")),))
    for linked, expected in ((objects, []), (objects[:1], ["csrc/second.cu"])):
        library = tmp_path / "_C.abi3.so"
        _run(nvcc, "-shared", *linked, "-o", library)
        verdict = judge(Reading(take_inventory(str(library), ReadOptions(names=True))), terms)
        errors = [one for one in verdict.findings if one.level is Level.ERROR]
        assert len(errors) == len(expected)
        assert all(name in one.message for name, one in zip(expected, errors, strict=True))


def _run(*words: str | Path) -> None:
    subprocess.run([str(word) for word in words], check=True, capture_output=True)
