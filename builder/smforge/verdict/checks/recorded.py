"""Is every library there that the packages list, and is it the one that is listed?"""

from __future__ import annotations

from collections.abc import Iterator

from smforge.findings import Finding, Level
from smforge.inventory.install_records import RecordedFile
from smforge.inventory.records import SubjectKind
from smforge.verdict.rules import RECORD_DIFFERS
from smforge.verdict.views.subject import SubjectView

_NAMED = 3
"""Files that a message names; the others are counted."""


def check_records(subject: SubjectView) -> Iterator[Finding]:
    """Libraries that a RECORD lists and that are missing, and GPU code that is not as listed.

    Libraries without GPU code are not compared: Debian strips those of its packages after RECORD.
    """
    digests = {view.file.path: view.file.sha256 for view in subject.files}
    in_wheel = subject.inventory.subject.kind is SubjectKind.WHEEL
    missing: dict[str, list[RecordedFile]] = {}
    other: dict[str, list[RecordedFile]] = {}
    for row in subject.reading.host_files.recorded:
        if row.found is None:
            missing.setdefault(row.record, []).append(row)
        elif row.path in digests and _differs(row, digests[row.path]):
            other.setdefault(row.record, []).append(row)
    for record, rows in missing.items():
        yield RECORD_DIFFERS.finding(
            f"{record} lists {_named(rows)}, which {_is(rows)} not there: what GPU code it had is "
            "not known.",
            # From an installed package somebody may have removed it; a wheel is as it was made.
            level=Level.ERROR if in_wheel else Level.WARNING,
            file=rows[0].path,
            remedy="Build or download it again; where it was removed on purpose, nothing.",
        )
    for record, rows in other.items():
        yield RECORD_DIFFERS.finding(
            f"{record} lists {_named(rows)} with another size or digest: what is there was judged.",
            file=rows[0].path,
            remedy="Find out what changed it after packing ('strip' does), or build it again.",
        )


def _differs(row: RecordedFile, sha256: str | None) -> bool:
    if row.size is not None and row.size != row.found:
        return True
    return None not in (row.sha256, sha256) and row.sha256 != sha256


def _is(rows: list[RecordedFile]) -> str:
    return "is" if len(rows) == 1 else "are"


def _named(rows: list[RecordedFile]) -> str:
    named = ", ".join(row.path for row in rows[:_NAMED])
    more = len(rows) - _NAMED
    return f"{named} and {more} more" if more > 0 else named
