"""The preflight report as SARIF 2.1.0: findings stand at the line of the build description."""

from __future__ import annotations

from collections.abc import Sequence

from smforge.findings import Finding
from smforge.preflight.records import Preflight
from smforge.preflight.rules import RULES
from smforge.report.sarif import Result, Run, rule_object, write_sarif
from smforge.version import __version__

_NOWHERE = "CMakeLists.txt"
"""The file of a finding that is about none."""


def render_sarif(preflights: Sequence[Preflight]) -> str:
    """One log with a run per component."""
    return write_sarif(_run(one) for one in preflights)


def _run(preflight: Preflight) -> Run:
    return Run(
        subject=preflight.source.name,
        tool="smforge preflight",
        version=__version__,
        rules=[rule_object(rule.id, rule.summary, rule.level.value) for rule in RULES],
        results=[_result(finding) for finding in preflight.findings],
        properties={
            "source": preflight.source.name,
            "requested": preflight.configuration.archs,
            "verdict": preflight.outcome.value,
        },
        successful=preflight.outcome.value in {"pass", "fail"},
    )


def _result(finding: Finding) -> Result:
    place = finding.location
    file = place.file if place else ""
    return Result(
        rule=finding.rule,
        level=finding.level.value,
        text=" ".join(filter(None, (finding.message, finding.remedy))),
        file=file or _NOWHERE,
        line=place.line if place else None,
        about=(finding.rule, str(finding.device), str(finding.target), *finding.sources, file),
        excused=finding.excused,
    )
