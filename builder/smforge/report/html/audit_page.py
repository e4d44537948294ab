"""The page of an audit: libraries by devices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from smforge.arch.target import ComputeCapability, Target
from smforge.inventory.records import RUNNABLE, CodeObject, Kind
from smforge.report import model
from smforge.report.build import report_of
from smforge.report.html.audit_words import REACHES, STATES
from smforge.report.html.columns import runs_on
from smforge.report.html.matrix import (
    Cell,
    Group,
    Names,
    Page,
    Row,
    Stored,
    Tab,
)
from smforge.report.html.overview import with_overview
from smforge.report.html.report_tab import counted_families, report_tab, row_facts, words_of
from smforge.report.html.row_groups import RowFiles, group_files
from smforge.report.state import counted, state_of, total_of
from smforge.verdict.kernels import MACHINE_CODE, Embedded
from smforge.verdict.names import families
from smforge.verdict.reach import Reach
from smforge.verdict.records import Verdict


def audit_page(
    audits: Sequence[Verdict],
    *,
    without_code: int = 0,
    reasons: Sequence[tuple[model.Reason, ...]] = (),
) -> Page:
    """Say what the page of one or several audits of the same request shows.

    `without_code` more subjects hold no GPU code and have no verdict. `reasons`, if they were
    asked for, say for each audit why kernels are missing.
    """
    names = Names()
    devices = tuple(one.device for one in audits[0].devices)
    grouped = [group_files(audit.view.files) for audit in audits]
    why = reasons or [()] * len(audits)
    reports = [
        replace(report_of(audit), reasons=found) for audit, found in zip(audits, why, strict=True)
    ]
    tabs = [
        _tab(report, held, devices, names) for report, held in zip(reports, grouped, strict=True)
    ]
    return Page(
        report="audit",
        tabs=with_overview(reports, tabs, words_of(reports), without_code),
        states=STATES,
        reaches=REACHES,
        runs=runs_on(_runnable([one for held in grouped for one in held]), devices),
        names=names.all,
    )


def _tab(
    report: model.Report,
    grouped: Sequence[RowFiles],
    devices: Sequence[ComputeCapability],
    names: Names,
) -> Tab:
    rows = [_row(row_files, devices, names) for row_files in grouped]
    places = {file.file.path: found.path for found in grouped for file in found.files}
    return report_tab(report, rows, places, names)


def _row(
    row_files: RowFiles,
    devices: Sequence[ComputeCapability],
    names: Names,
) -> Row:
    groups = _merged(row_files, devices)
    return Row(
        id=row_files.path,
        section="",
        facts=row_facts(
            len(row_files.files),
            sum(file.file.size for file in row_files.files),
            _toolkits(row_files),
        ),
        count=sum(len(kernels) for kernels in groups.values()),
        cells=tuple(_cell(row_files, device, names) for device in devices),
        groups=tuple(
            Group(
                codes=embedded.names(),
                reach=tuple(how.value for how in reaches),
                families=counted_families(families(kernels), names),
            )
            for (embedded, reaches), kernels in groups.items()
        ),
        stored=_stored(row_files),
    )


def _toolkits(row_files: RowFiles) -> Iterator[str]:
    return (str(code.toolkit) for code in _codes(row_files) if code.toolkit)


def _cell(row_files: RowFiles, device: ComputeCapability, names: Names) -> Cell:
    excused = families(
        one.kernel for file in row_files.files for one in file.devices.excused.get(device, ())
    )
    counts = total_of((file.devices.tallies[device] for file in row_files.files), counted)
    return Cell(state_of(counts), counts, counted_families(excused, names))


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
