"""Reads the two things to compare: subjects, or reports that an audit saved."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from smforge.errors import ConfigurationError, first_problem
from smforge.files import head_of
from smforge.inventory.options import ReadOptions
from smforge.report import model
from smforge.report.build import report_of
from smforge.report.diff.sides import Side, side_of
from smforge.report.diff.terms import DiffTerms
from smforge.report.saved import report_from_json
from smforge.verdict.audit import audit
from smforge.verdict.reading import Backend
from smforge.verdict.request import AuditRequest

_WHITE = b" \t\r\n"
_HEAD = 256
"""Bytes in which the beginning of JSON shows."""


def read_side(argument: str, terms: DiffTerms, options: ReadOptions | None = None) -> Side:
    """Read a saved report, or audit the subject that `argument` names.

    Raises `ConfigurationError` where a file looks like a report and is none, and what the audit
    raises where a subject cannot be read.
    """
    path = Path(argument)
    if _looks_like_json(path):
        return side_of(_saved(path), saved=True)
    asked = AuditRequest(terms.requirements, native_only=terms.native_only)
    done = audit(argument, asked, Backend.NATIVE, options)
    return side_of(report_of(done, kernels=True), saved=False)


def _looks_like_json(path: Path) -> bool:
    """Nothing that carries GPU code begins like a JSON document."""
    return head_of(path, _HEAD).lstrip(_WHITE)[:1] in {b"{", b"["}


def _saved(path: Path) -> model.Report:
    try:
        return report_from_json(path.read_bytes())
    except ValidationError as error:
        place, problem = first_problem(error)
        raise ConfigurationError(
            f"{path} is not a saved report of one audit: at {place or 'its beginning'}, {problem}.",
            remedy="Save it with: smforge audit SUBJECT --kernels -o json=FILE.",
        ) from error
