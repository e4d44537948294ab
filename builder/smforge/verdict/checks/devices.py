"""Does everything run on the required devices?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from operator import attrgetter

from smforge.arch.coverage import ptx_assembles_for
from smforge.arch.drivers import DriverVersion, lowest_driver_for
from smforge.arch.picking import cubins_in_question
from smforge.arch.target import ComputeCapability
from smforge.errors import UsageError
from smforge.findings import Family, Finding, Level, Member
from smforge.verdict.kernels import KernelGroup
from smforge.verdict.names import demangle, families, family
from smforge.verdict.reach import Reach, reach
from smforge.verdict.rules import (
    ALTERNATIVE_CODE,
    DEVICE_FOREIGN,
    DEVICE_MISSING,
    DEVICE_PTX_ONLY,
    DEVICE_SIBLING,
    KERNELS_MISSING,
    PICK_UNKNOWN,
    PTX_DRIVER_UNKNOWN,
    PTX_NEWER_THAN_DRIVER,
    SUFFIX_UNKNOWN,
)
from smforge.verdict.views.files import DeviceView, FileView
from smforge.verdict.views.subject import SubjectView

_FIRST = 3
"""Number of families that a finding shows."""
_FEW = 3
"""A family with at most this many members is shown with all their names."""


def check_subject(subject: SubjectView) -> Iterator[Finding]:
    """A required device that nothing in the whole subject can run on."""
    for device in subject.request.requirements.devices:
        views = [view.devices[device] for view in subject.files]
        if any(view.tally.runs for view in views) or not any(view.tally.total for view in views):
            continue
        if any(view.names(Reach.UNCLEAR, Reach.PICK_UNCLEAR) for view in views):
            continue
        held = any(view.names(Reach.PTX_TOO_NEW) for view in views)
        yield DEVICE_MISSING.finding(
            f"Nothing in {subject.inventory.subject.name} can run on {device}"
            f"{f' with driver {subject.request.driver}' if held else ''}.",
            device=device,
            remedy=f"Use a newer driver, or {_build(device)}." if held else _rebuild(device),
        )


def check_files(subject: SubjectView) -> Iterator[Finding]:
    """What each library lacks on each required device."""
    for device in subject.request.requirements.devices:
        loose = [file for file in subject.files if file.loose]
        for file in subject.files:
            view = file.devices[device]
            yield from _missing(subject, file, view)
            yield from _from_ptx(subject, file, view)
            yield from _unclear(subject, file, view)
            yield from _pick_unclear(subject, file, view)
            if not file.loose:
                yield from _foreign(subject, file, view)
                yield from _alternative(subject, file, view)
        yield from _loose_foreign(loose, device)


def _loose_foreign(files: list[FileView], device: ComputeCapability) -> Iterator[Finding]:
    """Cubin files that are made for other devices, or that are alternatives to other cubin
    files.
    """
    views = [file.devices[device] for file in files]
    beside = [view for view in views if Reach.ALTERNATIVE in view.reaches]
    foreign = [
        view
        for view in views
        if view.tally.foreign == view.tally.total > 0 and Reach.ALTERNATIVE not in view.reaches
    ]
    if foreign:
        yield DEVICE_FOREIGN.finding(
            f"{len(foreign)} cubin files are specialised for other devices than {device}.",
            device=device,
        )
    if beside:
        number = sum(len(view.names(Reach.ALTERNATIVE)) for view in beside)
        yield ALTERNATIVE_CODE.finding(
            f"{_counted(number, 'kernel')} in {_counted(len(beside), 'file')} of GPU code cannot "
            f"run on {device}, and other files next to them have kernels of the same names for it: "
            "the audit assumes that the program loads those.",
            device=device,
        )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _alternative(subject: SubjectView, file: FileView, view: DeviceView) -> Iterator[Finding]:
    if names := view.names(Reach.ALTERNATIVE):
        yield ALTERNATIVE_CODE.finding(
            f"{file.file.path}: {len(names)} of {view.tally.total} {subject.unit} do not run on "
            f"{view.device}{_for_families(subject, names)}, and other code of the file that "
            "nothing registers has kernels of the same names for it: the audit assumes that the "
            "program loads that.",
            file=file.file.path,
            device=view.device,
            families=_families(subject, names),
        )


def _missing(subject: SubjectView, file: FileView, view: DeviceView) -> Iterator[Finding]:
    rule = KERNELS_MISSING if view.tally.runs else DEVICE_MISSING
    if names := view.names(Reach.MISSING):
        yield rule.finding(
            f"{file.file.path}: {len(names)} of {view.tally.total} {subject.unit} cannot run on "
            f"{view.device}{_for_families(subject, names)}; it embeds {file.embedded}.",
            file=file.file.path,
            device=view.device,
            remedy=_rebuild(view.device),
            families=_named(subject, view, Reach.MISSING),
        )
    if names := view.names(Reach.NOT_PICKED):
        picked = _picked(view)
        yield rule.finding(
            f"{file.file.path}: {len(names)} of {view.tally.total} {subject.unit} cannot run on "
            f"{view.device}{_for_families(subject, names)}: the driver picks one code object of a "
            f"region, here {picked}, and it lacks them.",
            file=file.file.path,
            device=view.device,
            remedy=f"Compile them for {picked} too, or leave {picked} out: other code beside it "
            "has them, but the driver does not pick that.",
            families=_named(subject, view, Reach.NOT_PICKED),
        )


def _picked(view: DeviceView) -> str:
    """The code that the driver picks in place of code that has the kernels."""
    picked = {
        target
        for group, how in zip(view.groups, view.reaches, strict=True)
        if how is Reach.NOT_PICKED
        for target in cubins_in_question(group.embedded.lacking_cubins, view.device)
    }
    return " or ".join(target.sm for target in sorted(picked))


def _from_ptx(subject: SubjectView, file: FileView, view: DeviceView) -> Iterator[Finding]:
    driver = subject.request.driver
    if names := view.names(Reach.PTX):
        level = Level.ERROR if subject.request.native_only else Level.WARNING
        yield DEVICE_PTX_ONLY.finding(
            f"{file.file.path}: {len(names)} of {view.tally.total} {subject.unit} reach "
            f"{view.device} only as PTX{_for_families(subject, names)}; the driver compiles "
            "them at the first load.",
            level=level,
            file=file.file.path,
            device=view.device,
            remedy=f"Build it for {view.device}: the driver then compiles nothing at first load.",
            families=_families(subject, names),
        )
    if driver is None:
        return
    if names := view.names(Reach.PTX_TOO_NEW):
        isa = _lowest_isa(file, view.device, driver, Reach.PTX_TOO_NEW)
        lowest = _lowest_driver(isa)
        needs = f"needs driver {lowest} or newer" if lowest else "needs a driver not yet known"
        yield PTX_NEWER_THAN_DRIVER.finding(
            f"{file.file.path}: {len(names)} of {view.tally.total} {subject.unit} reach "
            f"{view.device} only as PTX {isa}, which {needs}; {driver} answers that the PTX was "
            f"compiled with an unsupported toolchain{_for_families(subject, names)}.",
            file=file.file.path,
            device=view.device,
            remedy=f"Use driver {lowest} or newer, or {_build(view.device)}."
            if lowest
            else _rebuild(view.device),
            families=_families(subject, names),
        )
    if names := view.names(Reach.PTX_UNSURE):
        isa = _lowest_isa(file, view.device, driver, Reach.PTX_UNSURE) or "of unknown version"
        yield PTX_DRIVER_UNKNOWN.finding(
            f"{file.file.path}: {len(names)} of {view.tally.total} {subject.unit} reach "
            f"{view.device} only as PTX {isa}, and it is not known whether driver {driver} "
            f"reads it.",
            file=file.file.path,
            device=view.device,
            remedy=_rebuild(view.device),
            families=_families(subject, names),
        )


def _unclear(subject: SubjectView, file: FileView, view: DeviceView) -> Iterator[Finding]:
    if names := view.names(Reach.UNCLEAR):
        yield SUFFIX_UNKNOWN.finding(
            f"{file.file.path}: whether {len(names)} {subject.unit} run on {view.device} depends "
            "on a suffix that their cubin does not record.",
            file=file.file.path,
            device=view.device,
            remedy="Name the file in a policy with the reason it is safe, or ask who built it.",
            families=_families(subject, names),
        )


def _pick_unclear(subject: SubjectView, file: FileView, view: DeviceView) -> Iterator[Finding]:
    if names := view.names(Reach.PICK_UNCLEAR):
        yield PICK_UNKNOWN.finding(
            f"{file.file.path}: {len(names)} of {view.tally.total} {subject.unit} are in some of "
            f"the code objects that {view.device} can run and not in all of them"
            f"{_for_families(subject, names)}; which one the driver picks is not documented.",
            file=file.file.path,
            device=view.device,
            remedy=f"Compile them for every target that runs on {view.device}, or build one target "
            "for it alone.",
            families=_families(subject, names),
        )


def _foreign(subject: SubjectView, file: FileView, view: DeviceView) -> Iterator[Finding]:
    """Code specialised for other devices: a note, or a warning if a device of the same major has
    it.
    """
    path, device = file.file.path, view.device
    groups = [g for g, how in zip(view.groups, view.reaches, strict=True) if how is Reach.FOREIGN]
    relatives = [group for group in groups if _is_for_relative(group, device)]
    if names := tuple(name for group in relatives for name in group.names):
        embedded = {name: None for group in relatives for name in group.embedded.names()}
        yield DEVICE_SIBLING.finding(
            f"{path}: {len(names)} of {view.tally.total} {subject.unit} do not run on {device}, "
            f"but on related devices{_for_families(subject, names)}; they are embedded as "
            f"{', '.join(embedded)}.",
            file=path,
            device=device,
            remedy=f"If {device} needs them, {_build(device)} or for its family.",
            families=_families(subject, names),
        )
    elif view.tally.foreign and view.tally.foreign == view.tally.total:
        yield DEVICE_FOREIGN.finding(
            f"{path}: specialised for other devices than {device}; it embeds {file.embedded}.",
            file=path,
            device=device,
        )


def _is_for_relative(group: KernelGroup, device: ComputeCapability) -> bool:
    """Whether foreign code is for a device of the same major version."""
    return any(target.capability.major == device.major for target in group.embedded.targets)


def _lowest_isa(
    file: FileView, device: ComputeCapability, driver: DriverVersion, how: Reach
) -> str | None:
    """The PTX ISA version that a driver must read so that all kernels of a reach run."""
    needed: list[tuple[int, ...]] = []
    for group in file.groups:
        if reach(group.embedded, device, driver) is how:
            usable = (p for p in group.embedded.ptx if ptx_assembles_for(p.target, device))
            isas = [_version(ptx.isa) for ptx in usable if ptx.isa is not None]
            needed.extend([min(isas)] if isas else [])
    return ".".join(str(part) for part in max(needed)) if needed else None


def _version(isa: str) -> tuple[int, ...]:
    return tuple(int(part) for part in isa.split(".") if part.isdigit())


def _lowest_driver(isa: str | None) -> DriverVersion | None:
    try:
        return None if isa is None else lowest_driver_for(isa)
    except UsageError:
        return None


def _families(subject: SubjectView, names: tuple[str, ...]) -> tuple[Family, ...]:
    return families(names) if subject.names_read else ()


def _named(subject: SubjectView, view: DeviceView, how: Reach) -> tuple[Family, ...]:
    """The families of kernels that cannot run; the first name their members, if these are few."""
    found = _families(subject, view.names(how))
    few = {one.name: list[Member]() for one in found[:_FIRST] if one.count <= _FEW}
    if not few:
        return found
    for name, embedded in view.kernels(how):
        if (members := few.get(family(name))) is not None:
            members.append(Member(demangle(name), embedded.names()))
    named = {name: tuple(sorted(members, key=attrgetter("name"))) for name, members in few.items()}
    return tuple(replace(one, members=named.get(one.name, ())) for one in found)


def _for_families(subject: SubjectView, names: tuple[str, ...]) -> str:
    """Name the three largest families, in brackets."""
    found = _families(subject, names)
    if not found:
        return ""
    named = ", ".join(f"{one.count} of {one.name}" for one in found[:3])
    rest = len(found) - 3
    return f" ({named}{f' and {rest} more families' if rest > 0 else ''})"


def _build(device: ComputeCapability) -> str:
    return f"build it for {device}"


def _rebuild(device: ComputeCapability) -> str:
    return f"Build it for {device}, or excuse the kernels in a policy with the reason."
