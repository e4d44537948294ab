"""The JSON report: its published schema, what it says, and that it can be read again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from smforge.report.build import to_json
from smforge.report.model import Report
from smforge.report.saved import report_from_json
from smforge.report.schema import PUBLISHED, render

MakeReport = Callable[..., Report]
SCHEMA = json.loads(next(path for path in PUBLISHED if "report" in path.name).read_text())


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.name)
def test_published_schemas_are_what_the_models_amount_to(path: Path) -> None:
    assert path.read_text() == render(PUBLISHED[path]), "run python -m smforge.report.schema"
    jsonschema.Draft202012Validator.check_schema(json.loads(path.read_text()))


@pytest.mark.parametrize("words", ["", "12.1", "11.0 12.0f", "7.5 sm_75"])
@pytest.mark.parametrize("kernels", [False, True])
def test_reports_are_valid_and_can_be_read_again(
    make_report: MakeReport, words: str, kernels: bool
) -> None:
    report = make_report(words, kernels=kernels, damaged=kernels)
    text = to_json(report)
    jsonschema.validate(json.loads(text), SCHEMA)
    assert report_from_json(text) == report


def test_a_document_that_does_not_say_its_version_is_no_report(full_report: Report) -> None:
    document = json.loads(to_json(full_report))
    del document["schema_version"]
    with pytest.raises(ValidationError, match="schema_version"):
        report_from_json(json.dumps(document))


@pytest.mark.parametrize(
    "edit",
    [
        lambda d: d.update(verdict="pass"),
        lambda d: d.update(verdict="nothing"),
        lambda d: d.update(findings=[]),
        lambda d: d.update(findings=[], verdict="pass"),
        lambda d: d.update(nothing_required=True),
    ],
)
def test_an_edited_verdict_is_no_report(
    make_report: MakeReport, edit: Callable[[dict[str, Any]], None]
) -> None:
    document = json.loads(to_json(make_report("11.0")))
    assert document["verdict"] == "fail"
    assert report_from_json(json.dumps(document))
    edit(document)
    with pytest.raises(ValidationError):
        report_from_json(json.dumps(document))


def test_the_schema_refuses_what_is_no_report(full_report: Report) -> None:
    document = json.loads(to_json(full_report))
    for break_it in (
        lambda d: d.pop("verdict"),
        lambda d: d.update(schema_version=2),
        lambda d: d["findings"][0].update(level="fatal"),
        lambda d: d["files"][0].update(extra=1),
        lambda d: d["files"][0]["objects"][0].update(target="sm_120"),
    ):
        broken = json.loads(json.dumps(document))
        break_it(broken)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, SCHEMA)


def test_the_frame_of_the_specification(full_report: Report) -> None:
    document = json.loads(to_json(full_report))
    assert document["schema_version"] == 1
    assert document["tool"]["name"] == "smforge"
    assert document["tool"]["backend"] == "both"
    assert document["subject"]["platform"] == "linux/amd64"
    assert document["verdict"] == "fail"
    assert set(document["devices"]) == {"12.1"}
    for finding in document["findings"]:
        assert {"rule", "level", "file", "device", "target", "message", "remedy"} <= set(finding)


def test_numbers_add_up(full_report: Report) -> None:
    for device, total in full_report.devices.items():
        tallies = [file.devices[device] for file in full_report.files]
        for state in ("kernels", "native", "ptx", "foreign", "missing", "exempt"):
            assert getattr(total, state) == sum(getattr(tally, state) for tally in tallies)
        for tally in (total, *tallies):
            assert tally.kernels == tally.native + tally.ptx + tally.foreign + tally.missing


def test_objects_are_gathered_by_kind_and_target(full_report: Report) -> None:
    (part,) = [file for file in full_report.files if file.path == "part.so"]
    assert [(o.kind, o.target, o.count, o.kernels) for o in part.objects] == [
        ("cubin", "8.0", 1, 7),
        ("cubin", "12.0", 1, 2),
    ]
    assert part.toolkit == "13.0"
    assert part.sources == ("kernels.cu",)
    (hidden,) = [file for file in full_report.files if file.path == "hidden.so"]
    assert hidden.objects == ()
    assert [one.target for one in hidden.unseen] == ["12.0"]


def test_kernels_are_listed_when_asked_for(full_report: Report, make_report: MakeReport) -> None:
    (part,) = [file for file in full_report.files if file.path == "part.so"]
    listed = {kernel.demangled: kernel for kernel in part.kernels}
    assert listed["void add<int>(int*, int)"].targets == ("8.0", "12.0")
    assert listed["plain"].exempt
    (ptx,) = [file for file in full_report.files if file.path == "ptx.so"]
    assert (ptx.kernels[0].targets, ptx.kernels[0].ptx) == (("9.0",), ("9.0",))
    assert all(file.kernels == () for file in make_report("12.1").files)
    assert '"demangled"' not in to_json(make_report("12.1"))
