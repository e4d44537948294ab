"""Reads a report that an audit saved: foreign data, held against the published schema's source."""

from __future__ import annotations

from pydantic import TypeAdapter

from builder.report.model import Report

_REPORT = TypeAdapter(Report)


def report_from_json(data: bytes | str) -> Report:
    """The report in `data`. Raises `pydantic.ValidationError` where it is none."""
    return _REPORT.validate_json(data)
