"""The page of an audit: libraries by devices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from smforge.arch.target import ComputeCapability, Target
from smforge.findings import Family, Finding, Level
from smforge.inventory.records import RUNNABLE, CodeObject, Kind
from smforge.report import finding_groups, outline
from smforge.report.build import report_of
from smforge.report.html.audit_words import KERNELS, REACHES, REGIONS, STATES
from smforge.report.html.columns import device_column, runs_on
from smforge.report.html.matrix import (
    Cell,
    Column,
    Counted,
    Excuse,
    Group,
    Names,
    Note,
    Page,
    Row,
    Stored,
    Words,
)
from smforge.report.html.row_groups import RowFiles, fold_families, group_files
from smforge.report.state import State, counted, state_of, together, total_of
from smforge.report.text.wording import plural, size
from smforge.verdict.kernels import MACHINE_CODE, Embedded
from smforge.verdict.names import families
from smforge.verdict.reach import Reach
from smforge.verdict.reading import Backend
from smforge.verdict.records import ExcuseUse, Verdict
from smforge.version import __version__

_OUTCOMES = ("fail", "undetermined", "nothing", outline.NOTHING_REQUIRED, "pass")
_LEVELS = tuple(level.value for level in Level)
_BADNESS = (
    State.NONE,
    State.PARTIAL,
    State.UNCLEAR,
    State.PTX,
    State.NATIVE,
    State.EXCUSED,
    State.FOREIGN,
    State.UNREACHABLE,
    State.EMPTY,
)
_BACKENDS = {
    Backend.NATIVE: "natively",
    Backend.CUOBJDUMP: "with cuobjdump",
    Backend.BOTH: "natively and with cuobjdump",
}


def audit_page(audits: Sequence[Verdict]) -> Page:
    """Say what the page of one or several audits of the same request shows."""
    devices = tuple(one.device for one in audits[0].devices)
    words = KERNELS if all(one.view.names_read for one in audits) else REGIONS
    names = Names()
    parts = [_part(audit, names, alone=len(audits) == 1) for audit in audits]
    grouped = [row_files for part in parts for row_files in part.grouped]
    notes = [note for part in parts for note in part.notes]
    subjects = [one.view.inventory.subject.name for one in audits]
    reports = [report_of(one) for one in audits]
    verdicts = [outline.verdict_word(report) for report in reports]
    named = zip(subjects, verdicts, strict=True)
    return Page(
        words=words,
        title=subjects[0] if len(subjects) == 1 else f"{len(subjects)} subjects",
        outcome=min(verdicts, key=_OUTCOMES.index),
        headline=outline.headline_of_all(reports),
        facts=(*_facts(audits, words), *(named if len(audits) > 1 else ())),
        states=STATES,
        reaches=REACHES,
        columns=tuple(_columns(audits)),
        rows=tuple(row for part in parts for row in part.rows),
        notes=tuple(sorted(notes, key=lambda note: _LEVELS.index(note.level))),
        excuses=tuple(excuse for part in parts for excuse in part.excuses),
        runs=runs_on(_runnable(grouped), devices),
        names=names.all,
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """The part of the page that shows one subject."""

    grouped: tuple[RowFiles, ...]
    rows: tuple[Row, ...]
    notes: tuple[Note, ...]
    excuses: tuple[Excuse, ...]


def _part(verdict: Verdict, names: Names, *, alone: bool) -> _Part:
    devices = tuple(one.device for one in verdict.devices)
    section = "" if alone else verdict.view.inventory.subject.name
    grouped = group_files(verdict.view.files, below=section)
    rows = [_row(row_files, section, devices, names) for row_files in grouped]
    if verdict.view.request.requirements.devices:
        rows.sort(key=_badness)
    place = {file.file.path: row_files.path for row_files in grouped for file in row_files.files}
    return _Part(
        grouped,
        tuple(rows),
        tuple(_notes(verdict.findings, place, names)),
        tuple(_excuse(one, names) for one in verdict.excuses),
    )


def _excuse(use: ExcuseUse, names: Names) -> Excuse:
    return Excuse(
        pattern=use.excuse.pattern,
        reason=" ".join(filter(None, (use.excuse.reason, use.excuse.reference))),
        origin=use.excuse.policy,
        count=use.kernels,
        columns=tuple(str(device) for device in use.devices),
        families=_counted(fold_families(use.families), names),
    )


def _facts(audits: Sequence[Verdict], words: Words) -> tuple[tuple[str, str], ...]:
    request = audits[0].view.request
    subjects = [one.view.inventory.subject for one in audits]
    files = [file for one in audits for file in one.view.files]
    kernels = plural(sum(group.count for file in files for group in file.groups), words.item)
    kinds = {" ".join(filter(None, (one.kind.value, one.platform))) for one in subjects}
    read = _BACKENDS[audits[0].view.reading.backend]
    found = [
        ("Subject", ", ".join(sorted(kinds))),
        ("Required", str(request.requirements) or "nothing: every current device is shown"),
        ("Driver", str(request.driver) if request.driver else ""),
        ("Holds", f"{plural(len(files), 'file')} with GPU code, {kernels}"),
        ("Read", f"{read}, by smforge {__version__}"),
        ("Digest", (subjects[0].digest or "") if len(subjects) == 1 else ""),
    ]
    return tuple((name, text) for name, text in found if text)


def _columns(audits: Sequence[Verdict]) -> Iterator[Column]:
    request = audits[0].view.request
    # A subject without GPU code, or one that could not be read, has no answer for a device.
    holding = [audit for audit in audits if audit.view.files] or audits
    for judged in zip(*(audit.devices for audit in holding), strict=True):
        device = judged[0].device
        yield device_column(
            device,
            required=device in request.requirements.devices,
            state=_together(
                [State(one.outcome.value) if one.tally.total else State.EMPTY for one in judged]
            ),
            counts=together(counted(one.tally) for one in judged),
        )


def _together(states: Sequence[State]) -> State:
    """The state of several subjects: the worst, and partial where others have something."""
    worst = min(states, key=_BADNESS.index)
    return State.PARTIAL if worst is State.NONE and len(set(states)) > 1 else worst


def _row(
    row_files: RowFiles,
    section: str,
    devices: Sequence[ComputeCapability],
    names: Names,
) -> Row:
    groups = _merged(row_files, devices)
    return Row(
        id=row_files.path,
        section=section,
        facts=_row_facts(row_files),
        count=sum(len(kernels) for kernels in groups.values()),
        cells=tuple(_cell(row_files, device, names) for device in devices),
        groups=tuple(
            Group(
                codes=embedded.names(),
                reach=tuple(how.value for how in reaches),
                families=_counted(fold_families(families(kernels)), names),
            )
            for (embedded, reaches), kernels in groups.items()
        ),
        stored=_stored(row_files),
    )


def _row_facts(row_files: RowFiles) -> tuple[tuple[str, str], ...]:
    codes = [code for code in _codes(row_files) if code.toolkit]
    toolkits = sorted({str(code.toolkit) for code in codes})
    found = [
        ("Files", plural(len(row_files.files), "file") if len(row_files.files) > 1 else ""),
        ("Size", size(sum(file.file.size for file in row_files.files))),
        ("CUDA", ", ".join(toolkits)),
    ]
    return tuple((name, text) for name, text in found if text)


def _cell(row_files: RowFiles, device: ComputeCapability, names: Names) -> Cell:
    excused = families(
        one.kernel for file in row_files.files for one in file.devices.excused.get(device, ())
    )
    counts = total_of((file.devices.tallies[device] for file in row_files.files), counted)
    return Cell(state_of(counts), counts, _counted(fold_families(excused), names))


def _merged(
    row_files: RowFiles, devices: Sequence[ComputeCapability]
) -> dict[tuple[Embedded, tuple[Reach, ...]], list[str]]:
    """The kernels of all files of a row, by what they are embedded as and how they run."""
    found: dict[tuple[Embedded, tuple[Reach, ...]], list[str]] = {}
    for file in row_files.files:
        views = [file.devices[device] for device in devices]
        for position, group in enumerate(file.groups):
            reaches = tuple(view.reaches[position] for view in views)
            found.setdefault((group.embedded, reaches), []).extend(group.names)
    return found


def _stored(row_files: RowFiles) -> tuple[Stored, ...]:
    grouped: dict[tuple[str, str, str | None], list[CodeObject]] = {}
    for code in sorted(_codes(row_files), key=lambda one: (one.kind, one.target)):
        grouped.setdefault((code.kind.value, _code_name(code), code.ptx_isa), []).append(code)
    return tuple(
        Stored(kind, name, isa, len(codes), sum(code.stored_bytes for code in codes))
        for (kind, name, isa), codes in grouped.items()
    )


def _codes(row_files: RowFiles) -> Iterable[CodeObject]:
    for file in row_files.files:
        for region in file.file.counted_regions:
            yield from region.objects


def _code_name(code: CodeObject) -> str:
    return code.target.sm if code.kind in MACHINE_CODE else code.target.compute


def _runnable(grouped: Sequence[RowFiles]) -> Iterator[tuple[Target, bool]]:
    """The targets of all code that the driver loads, and whether it is PTX."""
    for code in (code for row_files in grouped for code in _codes(row_files)):
        if code.kind in RUNNABLE:
            yield code.target, code.kind is Kind.PTX


def _notes(findings: Iterable[Finding], place: Mapping[str, str], names: Names) -> Iterator[Note]:
    """A note for each finding; those that differ in their device alone share one."""
    alike: dict[Finding, list[str]] = {}
    for one in findings:
        device = "" if one.device is None else str(one.device)
        alike.setdefault(_on(one, device, finding_groups.ANY_DEVICE), []).append(device)
    for finding, devices in alike.items():
        one = _on(finding, finding_groups.ANY_DEVICE, finding_groups.listed(devices))
        yield Note(
            rule=one.rule,
            level=one.level.value,
            message=one.message,
            remedy=one.remedy,
            row=place.get(one.file) if one.file else None,
            columns=tuple(filter(None, devices)),
            families=tuple(_in_full(fold_families(one.families), names)),
        )


def _in_full(found: Iterable[Family], names: Names) -> Iterator[Counted]:
    for one in found:
        for entry in finding_groups.in_full(one):
            codes = f"  [{entry.embedded}]" if entry.embedded else ""
            yield names.counted(f"{entry.name}{codes}", entry.count)


def _on(finding: Finding, old: str, new: str) -> Finding:
    """A finding about any device, or about several."""
    remedy = None if finding.remedy is None else finding_groups.renamed(finding.remedy, old, new)
    message = finding_groups.renamed(finding.message, old, new)
    return replace(finding, device=None, message=message, remedy=remedy)


def _counted(found: Iterable[Family], names: Names) -> tuple[Counted, ...]:
    return tuple(names.counted(one.name, one.count) for one in found)


def _badness(row: Row) -> tuple[int, int, str]:
    """Rows that fail most come first; equals stand by path."""
    worst = min((_BADNESS.index(cell.state) for cell in row.cells), default=len(_BADNESS))
    return worst, -sum(cell.tally.missing for cell in row.cells), row.id
