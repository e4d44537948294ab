"""JUnit XML: the records of every document, and the document of an audit.

An audit has a test case per library and required device, and one per other error; a preflight's
cases are in `smforge.report.preflight.junit`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from smforge.report import model, outline
from smforge.report.state import State, counts_of, state_of

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a case does not pass."""

    kind: str
    message: str
    text: str = ""
    """The whole text; empty if the message is complete."""


@dataclass(frozen=True, slots=True)
class Case:
    """One test case; without a problem and without a reason to be skipped it passes."""

    place: str
    name: str
    failure: Problem | None = None
    error: Problem | None = None
    skipped: str = ""
    told: str = ""
    """Further text about the case."""


@dataclass(frozen=True, slots=True)
class Suite:
    """The cases of one subject."""

    name: str
    cases: Sequence[Case]
    told: str = ""


def write_junit(name: str, suites: Iterable[Suite]) -> str:
    """Return one ``testsuites`` document."""
    root = ET.Element("testsuites", name=name)
    root.extend(_suite(suite) for suite in suites)
    for count in ("tests", "failures", "errors", "skipped"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in root)))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(suite: Suite) -> ET.Element:
    cases = suite.cases
    element = ET.Element(
        "testsuite",
        name=_clean(suite.name),
        tests=str(len(cases)),
        failures=str(sum(case.failure is not None for case in cases)),
        errors=str(sum(case.error is not None for case in cases)),
        skipped=str(sum(bool(case.skipped) for case in cases)),
    )
    element.extend(_case(case) for case in cases)
    if suite.told:
        ET.SubElement(element, "system-out").text = _clean(suite.told)
    return element


def _case(case: Case) -> ET.Element:
    element = ET.Element("testcase", classname=_clean(case.place), name=_clean(case.name), time="0")
    for tag, problem in (("failure", case.failure), ("error", case.error)):
        if problem is not None:
            found = ET.SubElement(element, tag, type=problem.kind, message=_clean(problem.message))
            found.text = _clean(problem.text) or None
    if case.skipped:
        ET.SubElement(element, "skipped", message=_clean(case.skipped))
    if case.told:
        ET.SubElement(element, "system-out").text = _clean(case.told)
    return element


def _clean(text: str) -> str:
    """Leave out characters that XML cannot hold; names in files may have any."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)


# ---- the audit ------------------------------------------------------------------------------


_NOTHING_RUNS = {
    State.EXCUSED: "all that is missing is excused",
    State.FOREIGN: "made for other devices",
    State.UNREACHABLE: "no host code can launch what is in it",
    State.EMPTY: "no kernel to judge",
}
"""Why nothing of a library runs on a device although that is no error."""


def render_junit(reports: Sequence[model.Report]) -> str:
    """Return the document of an audit; each subject is a suite."""
    return write_junit("smforge audit", [_audited(report) for report in reports])


def _audited(report: model.Report) -> Suite:
    return Suite(
        report.subject.name,
        [*_library_cases(report), *_other_cases(report)],
        f"{outline.headline(report)}\n{outline.backend_line(report)}",
    )


def _library_cases(report: model.Report) -> Iterator[Case]:
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
            found = by_place.get((file.path, device), [])
            errors = [one for one in found if one.level == "error"]
            whole = [one for one in by_place.get((file.path, None), []) if one.level == "error"]
            state = state_of(counts_of(file.devices[device]))
            reason = whole[0].rule if whole else _NOTHING_RUNS.get(state, "")
            yield Case(
                file.path,
                f"runs on {device}",
                failure=_failure(report, errors),
                skipped="" if errors else reason,
                told="\n".join(one.message for one in found if one.level != "error"),
            )


def _other_cases(report: model.Report) -> Iterator[Case]:
    """A case for each error that is not about a library on a required device, and the verdict."""
    paths = {file.path for file in report.files}
    for finding in report.findings:
        told = finding.device is not None and finding.file in paths
        if finding.level == "error" and not told:
            about = finding.device or finding.target
            name = f"{finding.rule} {about}" if about else finding.rule
            yield Case(
                finding.file or report.subject.name, name, failure=_failure(report, [finding])
            )
    word, line = outline.verdict_word(report), outline.headline(report)
    yield Case(
        report.subject.name,
        "verdict",
        error=Problem(word, line) if word in {"nothing", "undetermined"} else None,
        skipped=line if word == outline.NOTHING_REQUIRED else "",
    )


def _failure(report: model.Report, errors: Sequence[model.Finding]) -> Problem | None:
    if not errors:
        return None
    lines = [f"{one.message} {one.remedy or ''}".strip() for one in errors]
    lines += [line for one in errors for line in outline.reasons_for(report, one)]
    lines += [f"{family.count} {family.name}" for one in errors for family in one.families]
    return Problem(errors[0].rule, errors[0].message, "\n".join(lines))
