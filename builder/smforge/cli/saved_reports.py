"""Reports that an audit saved, and the question whether a subject is one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from smforge.errors import ConfigurationError, UsageError
from smforge.files import head_of, read_small
from smforge.report.model import Report

_MOST_BYTES = 1 << 30
_HEAD = 4096
_MADE_HERE = re.compile(rb'\A\s*\[?\s*\{\s*"schema_version":\s*\d+,\s*"tool":\s*\{\s*"name":')
_AUDITED = re.compile(rb'\},\s*"subject":\s*\{')


def require_no_report(subjects: Iterable[str]) -> None:
    """Raise `UsageError` for a subject that is itself a report: it holds no GPU code."""
    for subject in subjects:
        head = head_of(subject, _HEAD)
        if not _MADE_HERE.match(head):
            continue
        if _AUDITED.search(head):
            raise UsageError(
                f"{subject} is a saved report of an audit, which holds no GPU code.",
                remedy=f"To render it: smforge report {subject}. To audit, name what it is about.",
            )
        raise UsageError(
            f"{subject} is a saved report of smforge, which holds no GPU code.",
            remedy=f"A preflight's is compared with a build: smforge audit SUBJECT --expect "
            f"{subject}.",
        )


def read_reports(saved: Path) -> tuple[Report, ...]:
    """The reports in a file that ``smforge audit -o json=FILE`` wrote: one for each subject.

    Raises `UsageError` for a file that cannot be read and `ConfigurationError` for one that holds
    anything else.
    """
    from pydantic import ValidationError  # noqa: PLC0415  # defers pydantic

    from smforge.report.saved import reports_from_json  # noqa: PLC0415  # defers pydantic

    try:
        return reports_from_json(read_small(saved, _MOST_BYTES))
    except OSError as error:
        raise UsageError(f"Cannot read {saved}: {error.strerror or error}.") from error
    except ValidationError as error:
        raise ConfigurationError(
            f"{saved} is no report of an audit.",
            remedy="Save one with 'smforge audit SUBJECT -o json=FILE'.",
        ) from error
