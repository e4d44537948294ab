"""Reads a saved report of an audit, and checks it like any foreign data."""

from __future__ import annotations

from pydantic import BaseModel, TypeAdapter

from smforge.report.model import Report

_REPORT = TypeAdapter(Report)


class _Versioned(BaseModel):
    """What a report always says of itself; other documents of the same shape need not."""

    schema_version: int


def report_from_json(data: bytes | str) -> Report:
    """The report in `data`. Raises `pydantic.ValidationError` where it is none."""
    _Versioned.model_validate_json(data)
    return _REPORT.validate_json(data)
