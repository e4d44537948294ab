"""The preflight report as SARIF 2.1.0: findings stand at the line of the build description."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import quote

from smforge import __version__
from smforge.findings import Finding
from smforge.preflight.records import Preflight
from smforge.preflight.rules import RULES

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_POSITIONS = {rule.id: position for position, rule in enumerate(RULES)}
_NOWHERE = "CMakeLists.txt"
"""Code-scanning services want a file for every result."""


def render_sarif(preflight: Preflight) -> str:
    """One log with one run."""
    run = {
        "tool": {
            "driver": {
                "name": "smforge preflight",
                "version": __version__,
                "rules": [
                    {"id": rule.id, "shortDescription": {"text": rule.summary}} for rule in RULES
                ],
            }
        },
        "invocations": [{"executionSuccessful": True}],
        "results": [_result(finding) for finding in preflight.findings],
        "properties": {
            "source": preflight.source.name,
            "requested": preflight.configuration.archs,
            "verdict": preflight.outcome.value,
        },
    }
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2, ensure_ascii=False) + "\n"


def _result(finding: Finding) -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": {"uri": _NOWHERE}}
    if finding.location is not None:
        place = {
            "artifactLocation": {"uri": quote(finding.location.file)},
            "region": {"startLine": finding.location.line},
        }
    text = f"{finding.message} {finding.remedy or ''}".strip()
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": _POSITIONS[finding.rule],
        "level": finding.level.value,
        "message": {"text": text},
        "locations": [{"physicalLocation": place}],
        # The same loss in the next release is the same alert, wherever its line has moved.
        "partialFingerprints": {"smforge/v1": _fingerprint(finding)},
    }
    if finding.excused is not None:
        result["suppressions"] = [{"kind": "external", "justification": finding.excused}]
    return result


def _fingerprint(finding: Finding) -> str:
    about = (finding.rule, str(finding.device), str(finding.target), *finding.sources)
    file = finding.location.file if finding.location else ""
    return hashlib.sha256("|".join((*about, file)).encode()).hexdigest()
