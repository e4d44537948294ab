"""The page of saved reports of audits: the same as an audit's, with what a report holds.

A saved report does not say which kernels run on which device, but in its findings: a cell opens to
those. With ``--kernels`` it has the names, which a library opens to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from smforge.arch.target import ComputeCapability, Suffix, Target
from smforge.inventory.records import RUNNABLE
from smforge.report import model, outline
from smforge.report.html.audit_words import REACHES, STATES
from smforge.report.html.columns import runs_on
from smforge.report.html.matrix import Cell, Group, Names, Page, Row, Stored
from smforge.report.html.overview import with_overview
from smforge.report.html.report_tab import counted_families, report_tab, row_facts, words_of
from smforge.report.html.row_groups import row_paths
from smforge.report.state import counts_of, state_of, total_of
from smforge.verdict.kernels import MACHINE_CODE
from smforge.verdict.names import families

_MACHINE_CODE = frozenset(kind.value for kind in MACHINE_CODE)
_LOADED = frozenset(kind.value for kind in RUNNABLE)


def saved_page(reports: Sequence[model.Report]) -> Page:
    """Say what the page of one or several saved reports of the same request shows."""
    names = Names()
    tabs = []
    for report in reports:
        paths = row_paths([(file.path, file.path.endswith(".cubin")) for file in report.files])
        held: dict[str, list[model.File]] = {}
        for path, file in zip(paths, report.files, strict=True):
            held.setdefault(path, []).append(file)
        rows = [_row(path, files, tuple(report.devices), names) for path, files in held.items()]
        places = {file.path: path for path, file in zip(paths, report.files, strict=True)}
        tabs.append(report_tab(report, rows, places, names))
    devices = tuple(ComputeCapability.parse(device) for device in reports[0].devices)
    files = [file for report in reports for file in report.files]
    return Page(
        report="audit",
        tabs=with_overview(reports, tabs, words_of(reports)),
        states=STATES,
        reaches=REACHES,
        runs=runs_on(_codes(files), devices),
        names=names.all,
    )


def _row(path: str, files: Sequence[model.File], devices: Sequence[str], names: Names) -> Row:
    cells = []
    for device in devices:
        counts = total_of((file.devices[device] for file in files), counts_of)
        cells.append(Cell(state_of(counts), counts))
    return Row(
        id=path,
        section="",
        facts=row_facts(
            len(files),
            sum(file.size for file in files),
            (file.toolkit for file in files if file.toolkit),
        ),
        count=max((cell.tally.total for cell in cells), default=0),
        cells=tuple(cells),
        groups=tuple(_groups(files, names)),
        stored=tuple(_stored(files)),
    )


def _groups(files: Sequence[model.File], names: Names) -> Iterator[Group]:
    """The listed kernels by what they are embedded as; how they run is not in a report."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for file in files:
        for kernel in file.kernels:
            alike.setdefault(tuple(outline.forms(kernel)), []).append(kernel.name)
    for codes, kernels in alike.items():
        yield Group(codes=codes, reach=(), families=counted_families(families(kernels), names))


def _stored(files: Sequence[model.File]) -> Iterator[Stored]:
    alike: dict[tuple[str, str, str | None], list[model.Objects]] = {}
    for one in _objects(files):
        alike.setdefault((one.kind, _code_name(one), one.ptx_isa), []).append(one)
    for (kind, code, isa), found in sorted(alike.items(), key=lambda item: item[0][:2]):
        yield Stored(
            kind, code, isa, sum(one.count for one in found), sum(one.bytes for one in found)
        )


def _objects(files: Iterable[model.File]) -> Iterator[model.Objects]:
    for file in files:
        yield from (*file.objects, *file.unseen)


def _code_name(one: model.Objects) -> str:
    prefix = "sm" if one.kind in _MACHINE_CODE else "compute"
    return f"{prefix}_{one.target.replace('.', '')}"


def _codes(files: Iterable[model.File]) -> Iterator[tuple[Target, bool]]:
    """The targets of code that the driver loads, and whether it is PTX."""
    for one in _objects(files):
        if one.kind in _LOADED:
            yield _target(one.target), one.kind == "ptx"


def _target(text: str) -> Target:
    """``12.0f``; a question mark says that the file does not record the suffix."""
    found = Target.parse(text.rstrip("?"))
    return found._replace(suffix=Suffix.UNKNOWN) if text.endswith("?") else found
