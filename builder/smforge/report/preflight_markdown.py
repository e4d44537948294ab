"""The preflight report as Markdown, for pull requests and job summaries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from smforge.findings import Finding
from smforge.preflight.records import Preflight
from smforge.report.preflight_table import grouped, heading


def render_markdown(preflight: Preflight) -> str:
    """The report as text."""
    return "\n".join(_lines(preflight)) + "\n"


def _lines(preflight: Preflight) -> Iterator[str]:
    yield f"## Preflight: {heading(preflight)}"
    yield ""
    yield f"Verdict: **{preflight.outcome}**"
    yield ""
    rows = [
        (extension, targets or "-", ptx or "-", str(number))
        for extension, targets, ptx, number in grouped(preflight.configuration.units)
    ]
    yield from _table(("extension", "machine code for", "PTX for", "sources"), rows)
    yield from _table(
        ("device", "native", "PTX only", "for other devices", "missing"),
        [
            (str(device), str(one.native), str(one.ptx), str(one.foreign), str(one.missing))
            for device, one in sorted(preflight.devices.items())
        ],
    )
    yield from _table(
        ("the sources say", "where"),
        [(one.message, f"`{one.location}`") for one in preflight.configuration.skips],
    )
    for finding in preflight.findings:
        yield _finding(finding)


def _finding(finding: Finding) -> str:
    tail = f" Allowed: {finding.excused}" if finding.excused else f" {finding.remedy or ''}"
    return f"- **{finding.level}** `{finding.rule}`: {_plain(finding.message + tail.rstrip())}"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    rows = list(rows)
    if not rows:
        return
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    for row in rows:
        yield f"| {' | '.join(_plain(cell) for cell in row)} |"
    yield ""


def _plain(text: str) -> str:
    """Text that cannot end a table cell or start markup of its own."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
