"""The page of a preflight: sources by devices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from smforge.arch.devices import current_devices
from smforge.arch.target import ComputeCapability, Target
from smforge.findings import Finding, Level
from smforge.preflight.compare.losses import Reach, reach
from smforge.preflight.records import Preflight, Skip, Unit
from smforge.report.html.columns import device_column, runs_on
from smforge.report.html.matrix import (
    Cell,
    Column,
    Group,
    Meaning,
    Names,
    Note,
    Page,
    Row,
    Tab,
    Words,
)
from smforge.report.preflight.outline import headline
from smforge.report.state import Counts, State, state_of, together
from smforge.report.text.wording import plural
from smforge.version import __version__

_SOURCES = Words(
    row="source",
    rows="sources",
    item="source",
    items="sources",
    family="source",
    families="sources",
    embedded="Compiled as",
    hint="The filter takes words of a path, an extension or a device (12.1, Hopper, Spark). "
    "Headings sort. Open a cell for what a source is compiled as.",
    lacking="lost",
)
_MODULES = replace(_SOURCES, row="module", rows="modules")
_LOST = "source-lost"
"""The rule that says what a device could get and does not."""
_STATES = (
    Meaning(
        State.NATIVE,
        "native",
        "Compiled to machine code for the device.",
        number="with machine code",
    ),
    Meaning(
        State.PTX, "PTX", "Compiled to PTX that the driver has to assemble.", number="from PTX"
    ),
    Meaning(State.PARTIAL, "partial", "Some of a module's sources are lost.", number="lost"),
    Meaning(
        State.NONE,
        "lost",
        "Not compiled for it, though a list it was compared with gets it.",
        number="lost",
    ),
    Meaning(
        State.FOREIGN,
        "other",
        "Not compiled for it, nor in a list it was compared with.",
        number="not compiled for it",
    ),
)
_REACHES = (
    Meaning("missing", "lost", "A list that the device was compared with gets it.", State.NONE),
    Meaning("ptx", "PTX only", "The driver assembles it at the first load.", State.PTX),
    Meaning("native", "native", "Machine code for this device is compiled.", State.NATIVE),
    Meaning(
        "foreign", "for other devices", "Nothing of it is compiled for this device.", State.FOREIGN
    ),
)
_REACH_IDS = {Reach.NATIVE: "native", Reach.PTX: "ptx"}
_LEVELS = tuple(Level)


@dataclass(frozen=True, slots=True)
class _Entry:
    """What users know by one name: a source, or a generated module."""

    extension: str
    label: str
    units: tuple[Unit, ...]

    @property
    def module(self) -> bool:
        """Whether it is a generated module, which is an extension of its own."""
        return self.extension == self.label

    @property
    def id(self) -> str:
        known = self.extension and not self.module
        return f"{self.extension}/{self.label}" if known else self.label

    @property
    def section(self) -> str:
        if not self.extension:
            return "Not compiled"
        return "Modules" if self.module else self.extension


def preflight_page(preflight: Preflight) -> Page:
    """Say what the page of a preflight shows."""
    names = Names()
    lost = _lost(preflight.findings)
    entries = tuple(_entries(preflight, lost))
    devices = _devices(preflight)
    rows = tuple(_row(entry, devices, lost, names) for entry in entries)
    found = preflight.findings
    source = preflight.source
    tab = Tab(
        id="",
        title=" ".join(filter(None, (source.name, source.version))),
        outcome=preflight.outcome.value,
        headline=headline(preflight),
        words=_MODULES if any(entry.module for entry in entries) else _SOURCES,
        facts=_facts(preflight),
        columns=tuple(_column(at, device, preflight, rows) for at, device in enumerate(devices)),
        rows=rows,
        notes=(
            *(_note(one, entries, names) for one in sorted(found, key=_weight)),
            *(_skip(one) for one in preflight.configuration.skips),
        ),
    )
    return Page(
        report="preflight",
        tabs=(tab,),
        states=_STATES,
        reaches=_REACHES,
        runs=runs_on(_compiled(preflight.configuration.units), devices),
        names=names.all,
    )


def _facts(preflight: Preflight) -> tuple[tuple[str, str], ...]:
    configuration = preflight.configuration
    compared = "; ".join(one.archs for one in preflight.baselines)
    found = [
        ("Architectures", configuration.archs),
        ("CUDA", configuration.cuda),
        ("torch", configuration.torch),
        ("Compiles", plural(len(configuration.units), "source")),
        ("Compared with", compared),
        ("Made", f"by smforge {__version__}"),
        ("Digest", preflight.source.digest),
    ]
    return tuple((name, text) for name, text in found if text)


def _lost(findings: Iterable[Finding]) -> dict[ComputeCapability, frozenset[str]]:
    """Per device the names of what it loses, without excused losses."""
    lost: dict[ComputeCapability, frozenset[str]] = {}
    for one in findings:
        if one.rule == _LOST and one.device is not None and one.excused is None:
            for device in one.devices or (one.device,):
                lost[device] = lost.get(device, frozenset()) | set(one.sources)
    return lost


def _entries(
    preflight: Preflight, lost: Mapping[ComputeCapability, frozenset[str]]
) -> Iterator[_Entry]:
    units: dict[tuple[str, str], list[Unit]] = {}
    for unit in preflight.configuration.units:
        units.setdefault((unit.extension, unit.label), []).append(unit)
    compiled = {label for _, label in units}
    for label in sorted(set().union(*lost.values()) - compiled):
        yield _Entry("", label, ())
    for (extension, label), found in sorted(units.items()):
        yield _Entry(extension, label, tuple(found))


def _devices(preflight: Preflight) -> tuple[ComputeCapability, ...]:
    """The judged devices, and those of their generations that get machine code as well."""
    asked = {target.capability for target in preflight.requested} | preflight.required
    majors = {device.major for device in asked}
    served = {
        device
        for device in current_devices()
        if device.major in majors
        and any(reach(unit, device) is Reach.NATIVE for unit in preflight.configuration.units)
    }
    return tuple(sorted(asked | served))


def _column(
    at: int, device: ComputeCapability, preflight: Preflight, rows: Sequence[Row]
) -> Column:
    whole = together(row.cells[at].tally for row in rows)
    return device_column(
        device, required=device in preflight.required, state=state_of(whole), counts=whole
    )


def _row(
    entry: _Entry,
    devices: Sequence[ComputeCapability],
    lost: Mapping[ComputeCapability, frozenset[str]],
    names: Names,
) -> Row:
    alike: dict[tuple[str, ...], list[Unit]] = {}
    for unit in entry.units:
        codes = (*(one.sm for one in unit.targets), *(one.compute for one in unit.ptx))
        alike.setdefault(codes, []).append(unit)
    cells = []
    for device in devices:
        counts = _counts(entry, device, is_lost=entry.label in lost.get(device, ()))
        cells.append(Cell(state_of(counts), counts))
    places = {str(unit.location) for unit in entry.units if unit.location is not None}
    flags = {" ".join(unit.gencode) for unit in entry.units if unit.gencode}
    found = [("Chosen at", "; ".join(sorted(places))), ("-gencode", "; ".join(sorted(flags)))]
    return Row(
        id=entry.id,
        section=entry.section,
        facts=tuple((name, text) for name, text in found if text),
        count=len(entry.units),
        cells=tuple(cells),
        groups=tuple(
            Group(
                codes=codes,
                reach=tuple(
                    _reach_id(units[0], device, is_lost=entry.label in lost.get(device, ()))
                    for device in devices
                ),
                families=tuple(names.counted(unit.source, 1) for unit in units),
            )
            for codes, units in alike.items()
        ),
    )


def _reach_id(unit: Unit, device: ComputeCapability, *, is_lost: bool) -> str:
    return _REACH_IDS.get(reach(unit, device), "missing" if is_lost else "foreign")


def _counts(entry: _Entry, device: ComputeCapability, *, is_lost: bool) -> Counts:
    ids = [_reach_id(unit, device, is_lost=is_lost) for unit in entry.units]
    missing = ids.count("missing")
    return Counts(
        native=ids.count("native"),
        ptx=ids.count("ptx"),
        foreign=ids.count("foreign") + (not ids and not is_lost),
        # What is lost need not be among what is compiled at all.
        missing=missing or int(is_lost),
    )


def _compiled(units: Iterable[Unit]) -> Iterator[tuple[Target, bool]]:
    """All targets that anything is compiled for, and whether it is PTX."""
    yield from ((one, False) for one in sorted({one for unit in units for one in unit.targets}))
    yield from ((one, True) for one in sorted({one for unit in units for one in unit.ptx}))


def _note(finding: Finding, entries: Iterable[_Entry], names: Names) -> Note:
    place = None
    if len(finding.sources) == 1:
        place = next((one.id for one in entries if one.label == finding.sources[0]), None)
    return Note(
        rule=finding.rule,
        level=finding.level.value,
        message=finding.message,
        remedy=finding.remedy,
        row=place,
        columns=() if finding.device is None else (str(finding.device),),
        families=tuple(names.counted(source, 1) for source in finding.sources),
        allowed=finding.excused,
    )


def _skip(skip: Skip) -> Note:
    return Note("skipped", Level.NOTE.value, skip.message, f"At {skip.location}.", None)


def _weight(finding: Finding) -> int:
    return _LEVELS.index(finding.level)
