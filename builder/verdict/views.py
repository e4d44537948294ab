"""One file seen from one device: how each of its kernels gets there, and which are excused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from builder.arch.target import ComputeCapability, Target
from builder.inventory.records import FileInventory, Origin
from builder.verdict.exemptions import Exemption, covering
from builder.verdict.kernels import KernelGroup, group_kernels
from builder.verdict.reach import CANNOT_RUN, Reach, reach
from builder.verdict.records import Tally
from builder.verdict.terms import Terms

_EXCUSABLE = frozenset(Reach) - {Reach.NATIVE, Reach.FOREIGN}


@dataclass(frozen=True, slots=True)
class Excused:
    """A kernel that would have been held against the file, and the exemptions that cover it."""

    kernel: str
    exemptions: tuple[Exemption, ...]


@dataclass(frozen=True, slots=True)
class DeviceView:
    """How the kernels of one file reach one device."""

    device: ComputeCapability
    tally: Tally
    reaching: Mapping[Reach, tuple[str, ...]]
    """Kernel names by how they get there, excused ones left out."""
    excused: tuple[Excused, ...]

    def names(self, *reaches: Reach) -> tuple[str, ...]:
        return tuple(name for one in reaches for name in self.reaching.get(one, ()))

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
    covers: dict[str, tuple[Exemption, ...]] = {}
    views = {device: _view(file.path, groups, device, terms, covers) for device in devices}
    return FileView(file, groups, views)


def _view(
    path: str,
    groups: tuple[KernelGroup, ...],
    device: ComputeCapability,
    terms: Terms,
    covers: dict[str, tuple[Exemption, ...]],
) -> DeviceView:
    reaching: dict[Reach, list[str]] = {}
    counts = dict.fromkeys(Reach, 0)
    excused: list[Excused] = []
    for group in groups:
        how = reach(group.embedded, device, terms.driver)
        counts[how] += group.count
        open_names: tuple[str, ...] | list[str] = group.names
        if how in _EXCUSABLE and (possible := _possible(terms, device, group)):
            open_names = []
            for name in group.names:
                if name not in covers:
                    covers[name] = covering(terms.exemptions, name, path)
                holding = tuple(e for e in covers[name] if e in possible)
                if holding:
                    excused.append(Excused(name, holding))
                else:
                    open_names.append(name)
        if open_names:
            reaching.setdefault(how, []).extend(open_names)
    tally = Tally(
        native=counts[Reach.NATIVE],
        ptx=counts[Reach.PTX] + counts[Reach.PTX_UNSURE],
        foreign=counts[Reach.FOREIGN],
        missing=sum(counts[one] for one in CANNOT_RUN),
        exempt=len(excused),
    )
    fixed = {how: tuple(names) for how, names in reaching.items()}
    return DeviceView(device, tally, fixed, tuple(excused))


def _possible(terms: Terms, device: ComputeCapability, group: KernelGroup) -> tuple[Exemption, ...]:
    """The exemptions that hold for a device and for code embedded as a group's is."""
    targets = group.embedded.targets
    return tuple(e for e in terms.exemptions if e.holds(device, terms.today) and e.fits(targets))
