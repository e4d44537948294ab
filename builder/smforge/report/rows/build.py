"""Makes the rows of reports.

A row for each library on each device, with what was found there. What was found elsewhere (in the
whole subject, in a file that could not be read) has rows of its own, so that no error or warning is
left out; and a subject without any of them has one row that says its verdict.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from smforge.report import finding_groups, model
from smforge.report.rows.records import Row, RowFamily
from smforge.report.state import Counts, counts_of, state_of

_NONE = Counts()
_Place = tuple[str | None, str | None]
"""A file and a device, as findings name them."""


def rows_of(report: model.Report) -> Iterator[Row]:
    """The rows of one subject, in the order of its libraries and devices."""
    by_place: dict[_Place, list[model.Finding]] = {}
    for finding in report.findings:
        by_place.setdefault((finding.file, finding.device), []).append(finding)
    shown: set[_Place] = set()
    empty = True
    for file in report.files:
        shown.add((file.path, None))
        for device, tally in file.devices.items():
            shown.add((file.path, device))
            found = by_place.get((file.path, device), []) + by_place.get((file.path, None), [])
            empty = False
            yield _library_row(report, file, device, counts_of(tally), found)
    for (name, about), found in by_place.items():
        if (name, about) not in shown and any(one.level != "note" for one in found):
            empty = False
            yield _row(report, found, library=name, device=about)
    if empty:
        yield _row(report, ())


def _library_row(
    report: model.Report,
    file: model.File,
    device: str,
    counts: Counts,
    found: Sequence[model.Finding],
) -> Row:
    return _row(
        report,
        found,
        library=file.path,
        device=device,
        sha256=file.sha256,
        size=file.size,
        toolkit=file.toolkit,
        embedded=finding_groups.embedded(file),
        state=state_of(counts).value,
        counts=counts,
    )


def _row(
    report: model.Report,
    found: Sequence[model.Finding],
    *,
    library: str | None = None,
    device: str | None = None,
    counts: Counts = _NONE,
    **about: Any,
) -> Row:
    heavy = [one for one in found if one.level != "note"]
    blank = {"sha256": None, "size": None, "toolkit": None, "embedded": "", "state": None}
    return Row(
        subject=report.subject.name,
        platform=report.subject.platform,
        verdict=report.verdict,
        nothing_required=report.nothing_required,
        library=library,
        device=device,
        required=device in report.question.requirements,
        counted=report.counted,
        total=counts.total,
        errors=_rules(found, "error"),
        warnings=_rules(found, "warning"),
        message=" ".join(dict.fromkeys(one.message for one in heavy)),
        families=tuple(
            RowFamily(rule=one.rule, name=family.name, count=family.count)
            for one in found
            for family in one.families
        ),
        **{**blank, **about},
        **asdict(counts),
    )


def _rules(found: Sequence[model.Finding], level: str) -> str:
    return " ".join(dict.fromkeys(one.rule for one in found if one.level == level))
