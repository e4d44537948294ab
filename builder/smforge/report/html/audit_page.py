"""The page of an audit: libraries by devices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from smforge.arch.target import ComputeCapability, Target
from smforge.findings import Family, Finding, Level
from smforge.inventory.records import RUNNABLE, CodeObject, Kind
from smforge.report import finding_groups, model, outline
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
    Tab,
    Words,
)
from smforge.report.html.overview import all_subjects, worst
from smforge.report.html.row_groups import RowFiles, fold_families, group_files
from smforge.report.state import counted, device_state, state_of, total_of
from smforge.report.text.wording import plural, size
from smforge.verdict.kernels import MACHINE_CODE, Embedded
from smforge.verdict.names import families
from smforge.verdict.reach import Reach
from smforge.verdict.reading import Backend
from smforge.verdict.records import ExcuseUse, Verdict
from smforge.version import __version__

_LEVELS = tuple(level.value for level in Level)
_BACKENDS = {
    Backend.NATIVE: "natively",
    Backend.CUOBJDUMP: "with cuobjdump",
    Backend.BOTH: "natively and with cuobjdump",
}


def audit_page(audits: Sequence[Verdict]) -> Page:
    """Say what the page of one or several audits of the same request shows."""
    names = Names()
    shown = [_Shown.of(audit) for audit in audits]
    tabs = [_tab(one, names) for one in shown]
    if len(tabs) > 1:
        words = KERNELS if all(audit.view.names_read for audit in audits) else REGIONS
        tabs = [*all_subjects([one.report for one in shown], tabs, words)]
    grouped = [row_files for one in shown for row_files in one.grouped]
    return Page(
        report="audit",
        tabs=tuple(tabs),
        states=STATES,
        reaches=REACHES,
        runs=runs_on(_runnable(grouped), _devices(audits[0])),
        names=names.all,
    )


@dataclass(frozen=True, slots=True)
class _Shown:
    """An audit with what is made of it once."""

    audit: Verdict
    report: model.Report
    grouped: tuple[RowFiles, ...]

    @classmethod
    def of(cls, audit: Verdict) -> _Shown:
        return cls(audit, report_of(audit), group_files(audit.view.files))


def _tab(one: _Shown, names: Names) -> Tab:
    audit = one.audit
    words = KERNELS if audit.view.names_read else REGIONS
    rows = [_row(row_files, _devices(audit), names) for row_files in one.grouped]
    if audit.view.request.requirements.devices:
        rows.sort(key=_badness)
    place = {file.file.path: found.path for found in one.grouped for file in found.files}
    notes = _notes(audit.findings, place, names)
    return Tab(
        id="",
        title=audit.view.inventory.subject.name,
        outcome=outline.verdict_word(one.report),
        headline=outline.headline(one.report),
        words=words,
        facts=_facts(audit, one.report, words),
        columns=tuple(_columns(audit)),
        rows=tuple(rows),
        notes=tuple(sorted(notes, key=lambda note: _LEVELS.index(note.level))),
        excuses=tuple(_excuse(use, names) for use in audit.excuses),
    )


def _devices(audit: Verdict) -> tuple[ComputeCapability, ...]:
    return tuple(one.device for one in audit.devices)


def _excuse(use: ExcuseUse, names: Names) -> Excuse:
    return Excuse(
        pattern=use.excuse.pattern,
        reason=" ".join(filter(None, (use.excuse.reason, use.excuse.reference))),
        origin=use.excuse.policy,
        count=use.kernels,
        columns=tuple(str(device) for device in use.devices),
        families=_counted(fold_families(use.families), names),
    )


def _facts(audit: Verdict, report: model.Report, words: Words) -> tuple[tuple[str, str], ...]:
    request, subject = audit.view.request, audit.view.inventory.subject
    files = audit.view.files
    kernels = plural(sum(group.count for file in files for group in file.groups), words.item)
    held = f"{plural(len(files), 'file')} with GPU code, {kernels}"
    read = _BACKENDS[audit.view.reading.backend]
    found = [
        ("Subject", " ".join(filter(None, (subject.kind.value, subject.platform)))),
        ("Required", str(request.requirements) or "nothing: every current device is shown"),
        ("Driver", str(request.driver) if request.driver else ""),
        ("Holds", "not known: it could not be read" if outline.unread(report) else held),
        ("Read", f"{read}, by smforge {__version__}"),
        ("Digest", subject.digest or ""),
    ]
    return tuple((name, text) for name, text in found if text)


def _columns(audit: Verdict) -> Iterator[Column]:
    required = audit.view.request.requirements.devices
    for judged in audit.devices:
        counts = counted(judged.tally)
        yield device_column(
            judged.device,
            required=judged.device in required,
            state=device_state(judged.outcome.value, counts),
            counts=counts,
        )


def _row(
    row_files: RowFiles,
    devices: Sequence[ComputeCapability],
    names: Names,
) -> Row:
    groups = _merged(row_files, devices)
    return Row(
        id=row_files.path,
        section="",
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
    """Rows that fail most come first; equals are sorted by path."""
    missing = sum(cell.tally.missing for cell in row.cells)
    return worst(cell.state for cell in row.cells), -missing, row.id
