"""One file seen from one device: how each of its kernels gets there, and which are excused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from builder.arch.drivers import DriverVersion
from builder.arch.target import ComputeCapability, Target
from builder.inventory.records import FileInventory, Origin
from builder.verdict.exemptions import Exemption, covering
from builder.verdict.kernels import Embedded, KernelGroup, group_kernels
from builder.verdict.reach import CANNOT_RUN, Reach, reach
from builder.verdict.records import Tally
from builder.verdict.terms import Terms

_EXCUSABLE = frozenset(Reach) - {Reach.NATIVE, Reach.FOREIGN}


@dataclass(frozen=True, slots=True)
class Excused:
    """A kernel that would have been held against the file, and the exemptions that cover it."""

    kernel: str
    group: int
    """The position of its group: a namesake that is embedded otherwise is another kernel."""
    exemptions: tuple[Exemption, ...]


@dataclass(frozen=True, slots=True)
class DeviceView:
    """How the kernels of one file reach one device."""

    device: ComputeCapability
    tally: Tally
    groups: tuple[KernelGroup, ...]
    reaches: tuple[Reach, ...]
    """How each group gets there."""
    excused: tuple[Excused, ...] = ()

    def names(self, *wanted: Reach) -> tuple[str, ...]:
        """The kernels that get there in one of these ways, excused ones left out."""
        excused = {(one.group, one.kernel) for one in self.excused}
        return tuple(
            name
            for position, how in enumerate(self.reaches)
            if how in wanted
            for name in self.groups[position].names
            if (position, name) not in excused
        )

    @property
    def runs(self) -> int:
        """Kernels that run, from machine code or PTX."""
        return self.tally.native + self.tally.ptx


@dataclass(frozen=True, slots=True)
class FileView:
    """One file, seen from every device in question."""

    file: FileInventory
    groups: tuple[KernelGroup, ...]
    devices: Mapping[ComputeCapability, DeviceView]

    @property
    def targets(self) -> frozenset[Target]:
        """Every target that a kernel of it is embedded for."""
        return frozenset(target for group in self.groups for target in group.embedded.targets)

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
    file: FileInventory, devices: tuple[ComputeCapability, ...], terms: Terms
) -> FileView:
    """Look at a file from each of `devices`."""
    groups = group_kernels(file)
    shape = tuple((group.embedded, group.count) for group in groups)
    seen = _seen(shape, devices, terms.driver)
    views = {
        device: DeviceView(device, tally, groups, reaches)
        for device, (reaches, tally) in zip(devices, seen, strict=True)
    }
    if terms.exemptions:
        covers: dict[str, tuple[Exemption, ...]] = {}
        views = {d: _excuse(file.path, view, terms, covers) for d, view in views.items()}
    return FileView(file, groups, views)


Shape = tuple[tuple[Embedded, int], ...]
"""What the groups of a file are embedded as, and how many kernels each has."""


@lru_cache(maxsize=4096)
def _seen(
    shape: Shape, devices: tuple[ComputeCapability, ...], driver: DriverVersion | None
) -> tuple[tuple[tuple[Reach, ...], Tally], ...]:
    # Cached: a folder of thousands of cubins has a handful of shapes.
    found = []
    for device in devices:
        reaches = tuple(reach(embedded, device, driver) for embedded, _ in shape)
        counts = Counter[Reach]()
        for how, (_, count) in zip(reaches, shape, strict=True):
            counts[how] += count
        tally = Tally(
            native=counts[Reach.NATIVE],
            ptx=counts[Reach.PTX] + counts[Reach.PTX_UNSURE],
            foreign=counts[Reach.FOREIGN],
            missing=sum(counts[one] for one in CANNOT_RUN),
        )
        found.append((reaches, tally))
    return tuple(found)


def _excuse(
    path: str, view: DeviceView, terms: Terms, covers: dict[str, tuple[Exemption, ...]]
) -> DeviceView:
    """Take out the kernels that an exemption covers on the view's device.

    `covers` remembers, for the path, which exemptions mean a kernel: patterns cost time.
    """
    excused = []
    for position, group in enumerate(view.groups):
        if view.reaches[position] not in _EXCUSABLE:
            continue
        possible = _possible(terms, view.device, group)
        for name in group.names if possible else ():
            if name not in covers:
                covers[name] = covering(terms.exemptions, name, path)
            if holding := tuple(one for one in covers[name] if one in possible):
                excused.append(Excused(name, position, holding))
    if not excused:
        return view
    return replace(view, tally=replace(view.tally, exempt=len(excused)), excused=tuple(excused))


def _possible(terms: Terms, device: ComputeCapability, group: KernelGroup) -> tuple[Exemption, ...]:
    """The exemptions that hold for a device and for code embedded as a group's is."""
    targets = group.embedded.targets
    return tuple(e for e in terms.exemptions if e.holds(device, terms.today) and e.fits(targets))
