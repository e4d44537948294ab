"""Reads a saved report of an audit, and checks it like any foreign data."""

from __future__ import annotations

from typing import Annotated

from annotated_types import MinLen
from pydantic import AfterValidator, BaseModel, TypeAdapter

from smforge.report.model import Report


def _consistent(report: Report) -> Report:
    """Refuse a report that no audit wrote, because its parts contradict one another.

    An edited verdict shows here. Whoever edits all parts can still say anything: a report proves
    nothing about the file that brought it.
    """
    errors = any(finding.level == "error" for finding in report.findings)
    if errors != (report.verdict in {"fail", "undetermined"}):
        said = "has" if errors else "has no"
        raise ValueError(f"its verdict is {report.verdict}, and it {said} findings that are errors")
    if report.nothing_required and report.question.requirements:
        raise ValueError("it says that nothing was required, and lists requirements")
    for device, tally in report.devices.items():
        excused = tally.exempt - tally.exempt_ptx
        lacking = tally.missing > excused or (tally.verdict == "none" and tally.foreign > 0)
        if lacking and not (tally.unclear or errors) and device in report.question.requirements:
            raise ValueError(f"its verdict is {report.verdict}, and kernels do not run on {device}")
    return report


_REPORT = TypeAdapter(Annotated[Report, AfterValidator(_consistent)])


class _Versioned(BaseModel):
    """What a report always says of itself; other documents of the same shape need not."""

    schema_version: int


_ALL_VERSIONED = TypeAdapter(Annotated[tuple[_Versioned, ...], MinLen(1)])
_ALL = TypeAdapter(tuple[Annotated[Report, AfterValidator(_consistent)], ...])


def reports_from_json(data: bytes) -> tuple[Report, ...]:
    """All reports in `data`, which an audit of one subject or of several wrote.

    Raises `pydantic.ValidationError` where it is anything else.
    """
    if data.lstrip()[:1] != b"[":
        return (report_from_json(data),)
    _ALL_VERSIONED.validate_json(data)
    return _ALL.validate_json(data)


def report_from_json(data: bytes | str) -> Report:
    """The report in `data`. Raises `pydantic.ValidationError` where it is none."""
    _Versioned.model_validate_json(data)
    return _REPORT.validate_json(data)
