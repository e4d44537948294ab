"""The preflight report as JUnit XML: a test case per requested device, and one per other error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from smforge.arch.target import Target
from smforge.findings import Finding, Level
from smforge.preflight.records import Preflight
from smforge.report.junit import Case, Problem, Suite, write_junit
from smforge.report.preflight.outline import heading, headline, told

_PLACE = "preflight"


def render_junit(preflights: Sequence[Preflight]) -> str:
    """One ``testsuites`` document with a suite per component."""
    return write_junit(
        "smforge preflight",
        [Suite(heading(one), tuple(_cases(one)), headline(one)) for one in preflights],
    )


def _cases(preflight: Preflight) -> Iterator[Case]:
    errors = [one for one in preflight.findings if one.level is Level.ERROR]
    told_of: set[int] = set()
    for target in preflight.requested:
        about = [one for one in errors if _is_about(one, target)]
        told_of.update(map(id, about))
        yield Case(_PLACE, f"compiles for {target}", failure=_failure(about))
    named = {target.capability for target in preflight.requested}
    for device in sorted(preflight.required - named):
        about = [one for one in errors if device in {one.device, *one.devices}]
        told_of.update(map(id, about))
        yield Case(_PLACE, f"runs on {device}", failure=_failure(about))
    for one in errors:
        if id(one) not in told_of:
            yield Case(_PLACE, one.rule, failure=_failure([one]))
    if preflight.outcome.value not in {"pass", "fail"}:
        problem = Problem(preflight.outcome.value, headline(preflight))
        yield Case(_PLACE, "verdict", error=problem)


def _is_about(finding: Finding, target: Target) -> bool:
    """Whether a finding is about a target, by itself or as one of its device's."""
    if target.capability in finding.devices:
        return True
    of_device = finding.target is None and finding.device == target.capability
    return of_device or finding.target == target


def _failure(errors: Sequence[Finding]) -> Problem | None:
    if not errors:
        return None
    return Problem(errors[0].rule, errors[0].message, "\n".join(told(one) for one in errors))
