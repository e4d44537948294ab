"""One file seen from each device: how each of its kernels reaches it, and which are excused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from smforge.arch.target import ComputeCapability, Target
from smforge.findings import Tally
from smforge.inventory.records import FileInventory, Origin
from smforge.verdict.kernels import (
    AlternativesOf,
    Embedded,
    KernelGroup,
    group_kernels,
    no_alternatives,
)
from smforge.verdict.reach import CANNOT_RUN, NOT_KNOWN, Reach
from smforge.verdict.request import AuditRequest
from smforge.verdict.views.arch_packages import Parts
from smforge.verdict.views.excused import Excused, ExcusedKernels, excused_kernels
from smforge.verdict.views.shapes import ShapeView, view_shape


@dataclass(frozen=True, slots=True)
class DeviceView:
    """How the kernels of one file reach one device."""

    device: ComputeCapability
    tally: Tally
    groups: tuple[KernelGroup, ...]
    reaches: tuple[Reach, ...]
    """How each group reaches the device."""
    excused: tuple[Excused, ...] = ()

    def names(self, *wanted: Reach) -> tuple[str, ...]:
        """The kernels that reach the device in one of these ways, without the excused ones."""
        return tuple(name for name, _ in self.kernels(*wanted))

    def kernels(self, *wanted: Reach) -> Iterator[tuple[str, Embedded]]:
        """The same kernels, each with what it is embedded as."""
        if not any(how in wanted for how in self.reaches):
            return
        excused = {(one.group, one.kernel) for one in self.excused}
        for position, how in enumerate(self.reaches):
            if how in wanted:
                group = self.groups[position]
                for name in group.names:
                    if (position, name) not in excused:
                        yield name, group.embedded


class DeviceViews(Mapping[ComputeCapability, DeviceView]):
    """The views of one file, each made on demand, because few of them are used."""

    __slots__ = ("_groups", "_seen", "excused", "tallies")

    def __init__(
        self, groups: tuple[KernelGroup, ...], seen: ShapeView, excused: ExcusedKernels
    ) -> None:
        """`excused` holds the devices on which a kernel is excused."""
        self._groups = groups
        self._seen = seen
        self.excused = excused
        self.tallies = seen.tallies
        """The counts on each device. Files of one shape share them, except for what is excused."""
        if excused:
            counted = {device: _with_excused(device, seen, excused[device]) for device in excused}
            self.tallies = {**seen.tallies, **counted}

    def __getitem__(self, device: ComputeCapability) -> DeviceView:
        return DeviceView(
            device,
            self.tallies[device],
            self._groups,
            self._seen.reaches[device],
            self.excused.get(device, ()),
        )

    def __iter__(self) -> Iterator[ComputeCapability]:
        return iter(self.tallies)

    def __len__(self) -> int:
        return len(self.tallies)


@dataclass(frozen=True, slots=True)
class FileView:
    """One file, seen from every device in question."""

    file: FileInventory
    groups: tuple[KernelGroup, ...]
    devices: DeviceViews

    @property
    def targets(self) -> frozenset[Target]:
        """Every target that a kernel of it is embedded for."""
        return frozenset(target for group in self.groups for target in group.embedded.targets)

    @property
    def running(self) -> frozenset[ComputeCapability]:
        """The devices on which anything of it runs."""
        return frozenset(device for device, tally in self.devices.tallies.items() if tally.runs)

    @property
    def excused(self) -> frozenset[str]:
        """The names of the kernels that are excused on any device."""
        return frozenset(one.kernel for found in self.devices.excused.values() for one in found)

    @property
    def loose(self) -> bool:
        """Whether the file is itself a cubin: a subject can hold thousands, each for one device."""
        return all(region.origin is Origin.RAW for region in self.file.regions)

    @property
    def embedded(self) -> str:
        """What it holds, for people: ``sm_80, sm_90a, compute_80``."""
        cubins = {target for group in self.groups for target in group.embedded.cubins}
        ptx = {item.target for group in self.groups for item in group.embedded.ptx}
        return ", ".join([*(t.sm for t in sorted(cubins)), *(t.compute for t in sorted(ptx))])


def view_file(
    file: FileInventory,
    devices: tuple[ComputeCapability, ...],
    request: AuditRequest,
    alternatives: AlternativesOf = no_alternatives,
) -> FileView:
    """View a file from each of `devices`, without regard to other packages."""
    return _view(file, group_kernels(file, alternatives), devices, request, ())


def view_beside(
    view: FileView, devices: tuple[ComputeCapability, ...], request: AuditRequest, parts: Parts
) -> FileView:
    """View a file again, with the devices that the other packages of its kind serve."""
    return _view(view.file, view.groups, devices, request, parts)


def _view(
    file: FileInventory,
    groups: tuple[KernelGroup, ...],
    devices: tuple[ComputeCapability, ...],
    request: AuditRequest,
    parts: Parts,
) -> FileView:
    shape = tuple((group.embedded, len(group.names)) for group in groups)
    seen = view_shape(shape, devices, request.driver, parts)
    return FileView(
        file, groups, DeviceViews(groups, seen, excused_kernels(file.path, groups, seen, request))
    )


def _with_excused(
    device: ComputeCapability, seen: ShapeView, excused: tuple[Excused, ...]
) -> Tally:
    reaches = [seen.reaches[device][one.group] for one in excused]
    missing = sum(how in CANNOT_RUN for how in reaches)
    tally = seen.tallies[device]
    return replace(
        tally,
        missing_excused=missing,
        ptx_excused=len(excused) - missing,
        unclear=tally.unclear - sum(how in NOT_KNOWN for how in reaches),
    )
