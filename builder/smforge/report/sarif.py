"""SARIF 2.1.0, for code-scanning views: the records of every log, and the log of an audit.

A preflight's log is in `smforge.report.preflight.sarif`.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from smforge.report import model, outline
from smforge.report.text.rule_page import rule_sections
from smforge.verdict.rules import RULE_BY_ID, RULES

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_MOST_RESULTS = 25_000
"""The most results that code-scanning services take in one run; errors come first, and a note says
how many are left out."""


@dataclass(frozen=True, slots=True)
class Result:
    """One finding."""

    rule: str
    level: str
    text: str
    file: str
    """Code-scanning services want a file for every result."""
    about: Sequence[str]
    """What makes it the same alert in the next release, whatever its counts and lines are."""
    line: int | None = None
    excused: str | None = None
    """The reason why it does not count, if a policy excuses it."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one command found in one subject."""

    subject: str
    """A name for it that no subject of another platform has."""
    tool: str
    version: str
    rules: Sequence[Mapping[str, Any]]
    """``reportingDescriptor`` objects; results refer to them by position."""
    results: Sequence[Result]
    properties: Mapping[str, Any]
    successful: bool = True
    notes: Sequence[str] = ()
    """Notes about the whole run."""
    artifacts: Sequence[Mapping[str, Any]] = field(default=())


def write_sarif(runs: Iterable[Run]) -> str:
    """Return one log."""
    every = list(runs)
    objects = [_run(run) for run in every]
    if len(every) > 1:
        # GitHub refuses a log with two runs of one category. The category of a lone run is left to
        # the upload.
        for one, category in zip(objects, _categories(every), strict=True):
            one["automationDetails"] = {"id": f"{category}/"}
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": objects}
    return json.dumps(log, indent=2, ensure_ascii=False) + "\n"


def _categories(runs: Sequence[Run]) -> Iterator[str]:
    """A name for each run that no other has."""
    times: Counter[str] = Counter()
    for run in runs:
        name = f"{run.tool}/{run.subject}"
        times[name] += 1
        yield name if times[name] == 1 else f"{name} ({times[name]})"


def rule_object(rule: str, summary: str, level: str, help_text: str = "") -> Mapping[str, Any]:
    """The ``reportingDescriptor`` of a rule; `help_text` is Markdown that reads as text too."""
    shown = {"help": {"text": help_text, "markdown": help_text}} if help_text else {}
    return {
        "id": rule,
        "shortDescription": {"text": summary},
        "defaultConfiguration": {"level": level},
        **shown,
    }


def _run(run: Run) -> dict[str, Any]:
    kept = run.results[:_MOST_RESULTS]
    notes = [{"level": "note", "message": {"text": text}} for text in run.notes]
    if left := len(run.results) - len(kept):
        notes.append(
            {"level": "warning", "message": {"text": f"{left} further findings are left out."}}
        )
    positions = {rule["id"]: position for position, rule in enumerate(run.rules)}
    return {
        "tool": {"driver": {"name": run.tool, "version": run.version, "rules": list(run.rules)}},
        "invocations": [
            {
                "executionSuccessful": run.successful,
                **({"toolExecutionNotifications": notes} if notes else {}),
            }
        ],
        **({"artifacts": list(run.artifacts)} if run.artifacts else {}),
        "results": [_result(result, positions) for result in kept],
        "properties": dict(run.properties),
    }


def _result(result: Result, positions: Mapping[str, int]) -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": {"uri": _uri(result.file)}}
    if result.line is not None:
        place["region"] = {"startLine": result.line}
    about = "|".join(result.about).encode("utf-8", "backslashreplace")
    excused = {"suppressions": [{"kind": "external", "justification": result.excused}]}
    return {
        "ruleId": result.rule,
        "ruleIndex": positions[result.rule],
        "level": result.level,
        "message": {"text": result.text},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {"smforge/v1": hashlib.sha256(about).hexdigest()},
        **({} if result.excused is None else excused),
    }


def _uri(path: str) -> str:
    # A lone surrogate stands for a byte that is no text.
    return quote(path, errors="backslashreplace")


# ---- the audit ------------------------------------------------------------------------------


def render_sarif(reports: Sequence[model.Report]) -> str:
    """Return the log of an audit, with a run per subject."""
    return write_sarif(_audited(report) for report in reports)


def _audited(report: model.Report) -> Run:
    unasked = outline.verdict_word(report) == outline.NOTHING_REQUIRED
    # Images for several platforms have one name.
    platform = report.subject.platform if report.subject.kind == "image" else None
    return Run(
        subject=" ".join(filter(None, (report.subject.name, platform))),
        tool=report.tool.name,
        version=report.tool.version,
        rules=_rules(report),
        results=[_finding(finding, report) for finding in report.findings],
        properties={
            "subject": report.subject.name,
            "verdict": report.verdict,
            "nothingRequired": report.nothing_required,
        },
        successful=report.verdict not in {"undetermined", "nothing"},
        notes=[outline.headline(report)] if unasked else [],
        artifacts=[
            {"location": {"uri": _uri(file.path)}, "length": file.size, **_hashes(file)}
            for file in report.files
        ],
    )


def _rules(report: model.Report) -> list[Mapping[str, Any]]:
    """All rules; a saved report may hold some of another release."""
    sections = rule_sections()
    found = [
        rule_object(rule.id, rule.summary, rule.level.value, sections.get(rule.id, ""))
        for rule in RULES
    ]
    others = {one.rule: one for one in report.findings if one.rule not in RULE_BY_ID}
    return [*found, *(rule_object(one.rule, one.message, one.level) for one in others.values())]


def _finding(finding: model.Finding, report: model.Report) -> Result:
    return Result(
        rule=finding.rule,
        level=finding.level,
        text=" ".join(
            filter(None, (finding.message, *outline.reasons_for(report, finding), finding.remedy))
        ),
        file=finding.file or report.subject.name,
        about=[part or "" for part in (finding.rule, finding.file, finding.device, finding.target)],
    )


def _hashes(file: model.File) -> dict[str, Any]:
    return {} if file.sha256 is None else {"hashes": {"sha-256": file.sha256}}
