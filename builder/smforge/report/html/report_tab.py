"""The tab of one audited subject: all that its report says. The rows are made elsewhere.

`smforge.report.html.audit_page` makes them of an audit, `saved_page` of a saved report.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from smforge.arch.target import ComputeCapability
from smforge.findings import Family
from smforge.report import finding_groups, model, outline
from smforge.report.html.audit_words import KERNELS, REGIONS
from smforge.report.html.columns import device_column
from smforge.report.html.matrix import Column, Counted, Excuse, Names, Note, Row, Tab, Words
from smforge.report.html.overview import worst
from smforge.report.html.row_groups import fold_families
from smforge.report.state import counts_of, device_state
from smforge.report.text.wording import plural, size

_BACKENDS = {
    "native": "natively",
    "cuobjdump": "with cuobjdump",
    "both": "natively and with cuobjdump",
}


def words_of(reports: Iterable[model.Report]) -> Words:
    """The words for what the cells of these reports count."""
    return KERNELS if all(one.counted == "kernels" for one in reports) else REGIONS


def report_tab(
    report: model.Report, rows: Sequence[Row], places: Mapping[str, str], names: Names
) -> Tab:
    """Say what the tab of a subject shows. `places` are the rows of the files, by path."""
    asked = any(device in report.question.requirements for device in report.devices)
    notes = [
        *_notes(report.findings, places, names),
        *(_reason(one, places, names) for one in report.reasons),
    ]
    words = words_of([report])
    return Tab(
        id="",
        title=report.subject.name,
        outcome=outline.verdict_word(report),
        headline=outline.headline(report),
        words=words,
        facts=_facts(report, words),
        columns=tuple(_columns(report)),
        rows=tuple(sorted(rows, key=_badness) if asked else rows),
        notes=tuple(sorted(notes, key=lambda note: finding_groups.LEVELS.index(note.level))),
        excuses=tuple(_excuse(use, names) for use in report.exempted),
    )


def counted_families(found: Sequence[Family | model.Family], names: Names) -> tuple[Counted, ...]:
    """Families in a readable number, as the page refers to them."""
    return tuple(names.counted(one.name, one.count) for one in fold_families(found))


def row_facts(files: int, stored: int, toolkits: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """What is said below the name of a library, or of the `files` of a folder.

    `stored` is their size in bytes.
    """
    found = [
        ("Files", plural(files, "file") if files > 1 else ""),
        ("Size", size(stored)),
        ("CUDA", ", ".join(sorted(set(toolkits)))),
    ]
    return tuple((name, text) for name, text in found if text)


def _facts(report: model.Report, words: Words) -> tuple[tuple[str, str], ...]:
    subject, question = report.subject, report.question
    count = max((counts_of(tally).total for tally in report.devices.values()), default=0)
    items = plural(count, words.item, words.items)
    held = f"{plural(len(report.files), 'file')} with GPU code, {items}"
    found = [
        ("Subject", " ".join(filter(None, (subject.kind, subject.platform)))),
        ("Required", " ".join(question.requirements) or "nothing: every current device is shown"),
        ("Driver", question.driver or ""),
        ("Holds", "not known: it could not be read" if outline.unread(report) else held),
        ("Read", f"{_BACKENDS[report.tool.backend]}, by smforge {report.tool.version}"),
        ("Digest", subject.digest or ""),
    ]
    return tuple((name, text) for name, text in found if text)


def _columns(report: model.Report) -> Iterator[Column]:
    for device, tally in report.devices.items():
        counts = counts_of(tally)
        yield device_column(
            ComputeCapability.parse(device),
            required=device in report.question.requirements,
            state=device_state(tally.verdict, counts),
            counts=counts,
        )


def _excuse(use: model.Exempted, names: Names) -> Excuse:
    return Excuse(
        pattern=use.pattern,
        reason=" ".join(filter(None, (use.reason, use.reference))),
        origin=use.policy,
        count=use.kernels,
        columns=use.devices,
        families=counted_families(use.families, names),
    )


def _notes(
    findings: Iterable[model.Finding], places: Mapping[str, str], names: Names
) -> Iterator[Note]:
    """A note for each finding; those that differ in their device alone share one."""
    alike: dict[model.Finding, list[str]] = {}
    for one in findings:
        device = one.device or ""
        alike.setdefault(_on(one, device, finding_groups.ANY_DEVICE), []).append(device)
    for finding, devices in alike.items():
        one = _on(finding, finding_groups.ANY_DEVICE, finding_groups.listed(devices))
        yield Note(
            rule=one.rule,
            level=one.level,
            message=one.message,
            remedy=one.remedy,
            row=places.get(one.file) if one.file else None,
            columns=tuple(filter(None, devices)),
            families=tuple(_in_full(fold_families(one.families), names)),
        )


def _reason(reason: model.Reason, places: Mapping[str, str], names: Names) -> Note:
    """A note that says why kernels are missing, with their sources in the place of a remedy."""
    return Note(
        rule=f"why {reason.cause}",
        level="note",
        message=f"{reason.device}: {outline.reason_line(reason)}",
        remedy=", ".join(reason.sources) or None,
        row=places.get(reason.file),
        columns=(reason.device,),
        families=counted_families(reason.families, names),
    )


def _in_full(found: Iterable[Family | model.Family], names: Names) -> Iterator[Counted]:
    for one in found:
        for entry in finding_groups.in_full(one):
            codes = f"  [{entry.embedded}]" if entry.embedded else ""
            yield names.counted(f"{entry.name}{codes}", entry.count)


def _on(finding: model.Finding, old: str, new: str) -> model.Finding:
    """A finding about any device, or about several."""
    remedy = None if finding.remedy is None else finding_groups.renamed(finding.remedy, old, new)
    message = finding_groups.renamed(finding.message, old, new)
    return replace(finding, device=None, message=message, remedy=remedy)


def _badness(row: Row) -> tuple[int, int, str]:
    """Rows that fail most come first; equals are sorted by path."""
    missing = sum(cell.tally.missing for cell in row.cells)
    return worst(cell.state for cell in row.cells), -missing, row.id
