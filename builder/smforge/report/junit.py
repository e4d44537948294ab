"""The report as JUnit XML: one test case per library and device, and one per other finding."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from xml.etree import ElementTree as ET

from smforge.report import model, outline

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render_junit(reports: Sequence[model.Report]) -> str:
    """Return one ``testsuites`` document; each subject is a suite."""
    root = ET.Element("testsuites", name="smforge audit")
    for report in reports:
        root.append(_suite(report))
    for count in ("tests", "failures", "errors", "skipped"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in root)))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(report: model.Report) -> ET.Element:
    suite = ET.Element("testsuite", name=_clean(report.subject.name))
    cases = [*_library_cases(report), *_other_cases(report)]
    suite.extend(cases)
    suite.set("tests", str(len(cases)))
    suite.set("failures", str(sum(case.find("failure") is not None for case in cases)))
    suite.set("errors", str(sum(case.find("error") is not None for case in cases)))
    suite.set("skipped", str(sum(case.find("skipped") is not None for case in cases)))
    output = ET.SubElement(suite, "system-out")
    output.text = _clean(f"{outline.headline(report)}\n{outline.backend_line(report)}")
    return suite


def _library_cases(report: model.Report) -> Iterator[ET.Element]:
    """A case for each library on each required device, so that a pass is visible as one.

    Where there is no kernel to judge, or none that is meant for the device, or an error about the
    library as a whole, the case is skipped: no data is never a pass.
    """
    required = [word for word in report.question.requirements if word in report.devices]
    by_place: dict[tuple[str | None, str | None], list[model.Finding]] = {}
    for finding in report.findings:
        by_place.setdefault((finding.file, finding.device), []).append(finding)
    for device in required:
        for file in report.files:
            case = _case(file.path, f"runs on {device}")
            found = by_place.get((file.path, device), [])
            errors = [one for one in found if one.level == "error"]
            _add_outcome(case, errors)
            whole = [one for one in by_place.get((file.path, None), []) if one.level == "error"]
            reason = whole[0].rule if whole else _why_nothing_runs(file.devices[device])
            if reason and not errors:
                ET.SubElement(case, "skipped", message=_clean(reason))
            told = [one.message for one in found if one.level != "error"]
            if told:
                ET.SubElement(case, "system-out").text = _clean("\n".join(told))
            yield case


def _why_nothing_runs(tally: model.Tally) -> str | None:
    """Why nothing of a library runs on a device although that is no error; None where it does."""
    if tally.native + tally.ptx:
        return None
    if tally.missing:
        return "all that is missing is excused"
    return "made for other devices" if tally.foreign else "no kernel to judge"


def _other_cases(report: model.Report) -> Iterator[ET.Element]:
    """A case for each error that is not about a library on a required device."""
    paths = {file.path for file in report.files}
    for finding in report.findings:
        told = finding.device is not None and finding.file in paths
        if finding.level == "error" and not told:
            about = finding.device or finding.target
            name = f"{finding.rule} {about}" if about else finding.rule
            case = _case(finding.file or report.subject.name, name)
            _add_outcome(case, [finding])
            yield case
    case = _case(report.subject.name, "verdict")
    if report.verdict in {"nothing", "undetermined"}:
        problem = ET.SubElement(case, "error", type=report.verdict)
        problem.set("message", _clean(outline.headline(report)))
    yield case


def _case(place: str, name: str) -> ET.Element:
    return ET.Element("testcase", classname=_clean(place), name=_clean(name), time="0")


def _add_outcome(case: ET.Element, errors: Sequence[model.Finding]) -> None:
    if not errors:
        return
    first = errors[0]
    failure = ET.SubElement(case, "failure", type=first.rule, message=_clean(first.message))
    lines = [f"{one.message} {one.remedy or ''}".strip() for one in errors]
    lines += [f"{family.count} {family.name}" for one in errors for family in one.families]
    failure.text = _clean("\n".join(lines))


def _clean(text: str) -> str:
    """Leave out characters that XML cannot hold; names in files may have any."""
    return _NOT_XML.sub("�", text)
