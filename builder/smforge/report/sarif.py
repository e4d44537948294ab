"""The report as SARIF 2.1.0, for code-scanning views."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from smforge.report import model
from smforge.verdict.rules import RULES

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_MOST_RESULTS = 25_000
"""What code-scanning services take in one run; errors come first, and a cut is said."""


def render_sarif(reports: Sequence[model.Report]) -> str:
    """Return one log with a run per subject."""
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [_run(report) for report in reports]}
    return json.dumps(log, indent=2, ensure_ascii=False) + "\n"


def _run(report: model.Report) -> dict[str, Any]:
    kept = report.findings[:_MOST_RESULTS]
    invocation: dict[str, Any] = {
        "executionSuccessful": report.verdict not in {"undetermined", "nothing"}
    }
    if len(kept) < len(report.findings):
        left = len(report.findings) - len(kept)
        invocation["toolExecutionNotifications"] = [
            {"level": "warning", "message": {"text": f"{left} further findings are left out."}}
        ]
    return {
        "tool": {
            "driver": {
                "name": report.tool.name,
                "version": report.tool.version,
                "rules": [_rule(position) for position in range(len(RULES))],
            }
        },
        "invocations": [invocation],
        "artifacts": [
            {"location": {"uri": _uri(file.path)}, "length": file.size, **_hashes(file)}
            for file in report.files
        ],
        "results": [_result(finding, report) for finding in kept],
        "properties": {"subject": report.subject.name, "verdict": report.verdict},
    }


def _rule(position: int) -> dict[str, Any]:
    rule = RULES[position]
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.summary},
        "defaultConfiguration": {"level": rule.level.value},
    }


def _result(finding: model.Finding, report: model.Report) -> dict[str, Any]:
    positions = {rule.id: position for position, rule in enumerate(RULES)}
    about = "|".join(
        part or "" for part in (finding.rule, finding.file, finding.device, finding.target)
    )
    remedy = f" {finding.remedy}" if finding.remedy else ""
    return {
        "ruleId": finding.rule,
        "ruleIndex": positions[finding.rule],
        "level": finding.level,
        "message": {"text": finding.message + remedy},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(finding.file or report.subject.name)}
                }
            }
        ],
        # The same finding of the next release is the same alert, whatever its counts are.
        "partialFingerprints": {"smforge/v1": hashlib.sha256(about.encode()).hexdigest()},
    }


def _hashes(file: model.File) -> dict[str, Any]:
    return {} if file.sha256 is None else {"hashes": {"sha-256": file.sha256}}


def _uri(path: str) -> str:
    return quote(path)
