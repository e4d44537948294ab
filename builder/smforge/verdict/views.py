"""One file seen from one device: how each of its kernels gets there, and which are excused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial

from smforge.arch.drivers import DriverVersion
from smforge.arch.target import ComputeCapability, Target
from smforge.inventory.records import FileInventory, Origin
from smforge.policy.exemptions import Exemption, covering
from smforge.verdict.arch_packages import Parts, as_part
from smforge.verdict.kernels import Embedded, KernelGroup, group_kernels
from smforge.verdict.reach import CANNOT_RUN, EXCUSABLE, Reach, reach
from smforge.verdict.records import Tally
from smforge.verdict.request import Terms

_EXCUSABLE = frozenset(how for several in EXCUSABLE.values() for how in several)


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
        if not any(how in wanted for how in self.reaches):
            return ()
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
class Sight:
    """How code of one shape reaches each device: the same for every file of that shape."""

    reaches: Mapping[ComputeCapability, tuple[Reach, ...]]
    """How each group gets there."""
    tallies: Mapping[ComputeCapability, Tally]
    excusable: tuple[tuple[ComputeCapability, tuple[int, ...]], ...]
    """The devices on which an exemption may matter, with the groups that it may matter for."""


class DeviceViews(Mapping[ComputeCapability, DeviceView]):
    """The views of one file, each made when it is asked for: few of them ever are."""

    __slots__ = ("_groups", "_sight", "excused", "tallies")

    def __init__(
        self,
        groups: tuple[KernelGroup, ...],
        sight: Sight,
        excused: Mapping[ComputeCapability, tuple[Excused, ...]],
    ) -> None:
        """`excused` holds the devices on which a kernel is excused."""
        self._groups = groups
        self._sight = sight
        self.excused = excused
        self.tallies = sight.tallies
        """The counts on each device. Files of one shape share them, but for what is excused."""
        if excused:
            exempt = {d: replace(sight.tallies[d], exempt=len(one)) for d, one in excused.items()}
            self.tallies = {**sight.tallies, **exempt}

    def __getitem__(self, device: ComputeCapability) -> DeviceView:
        return DeviceView(
            device,
            self.tallies[device],
            self._groups,
            self._sight.reaches[device],
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
        tallies = self.devices.tallies.items()
        return frozenset(device for device, tally in tallies if tally.native + tally.ptx)

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
    file: FileInventory, devices: tuple[ComputeCapability, ...], terms: Terms, parts: Parts = ()
) -> FileView:
    """Look at a file from each of `devices`; `parts` is what the libraries beside it make of it."""
    return _view(file, group_kernels(file), devices, terms, parts)


def view_beside(
    view: FileView, devices: tuple[ComputeCapability, ...], terms: Terms, parts: Parts
) -> FileView:
    """Look at a file once more, now that it is known what the libraries beside it make of it."""
    return _view(view.file, view.groups, devices, terms, parts)


def _view(
    file: FileInventory,
    groups: tuple[KernelGroup, ...],
    devices: tuple[ComputeCapability, ...],
    terms: Terms,
    parts: Parts,
) -> FileView:
    shape = tuple((group.embedded, len(group.names)) for group in groups)
    sight = _sight(shape, devices, terms.driver, parts)
    excusing = bool(sight.excusable and terms.exemptions)
    excused = _excused(file.path, groups, sight, terms) if excusing else {}
    return FileView(file, groups, DeviceViews(groups, sight, excused))


Shape = tuple[tuple[Embedded, int], ...]
"""What the groups of a file are embedded as, and how many kernels each has."""


@lru_cache(maxsize=4096)
def _sight(
    shape: Shape,
    devices: tuple[ComputeCapability, ...],
    driver: DriverVersion | None,
    parts: Parts,
) -> Sight:
    # Cached: a folder of thousands of cubins has a handful of shapes.
    part_for = dict(parts)
    reaches = {
        device: tuple(
            as_part(reach(embedded, device, driver), part_for.get(device)) for embedded, _ in shape
        )
        for device in devices
    }
    return Sight(
        reaches,
        {device: _tally(shape, found) for device, found in reaches.items()},
        tuple(
            (device, positions)
            for device, found in reaches.items()
            if (positions := tuple(i for i, how in enumerate(found) if how in _EXCUSABLE))
        ),
    )


def _tally(shape: Shape, reaches: tuple[Reach, ...]) -> Tally:
    counts = Counter[Reach]()
    for how, (_, count) in zip(reaches, shape, strict=True):
        counts[how] += count
    return Tally(
        native=counts[Reach.NATIVE],
        ptx=counts[Reach.PTX] + counts[Reach.PTX_UNSURE],
        foreign=counts[Reach.FOREIGN] + counts[Reach.ELSEWHERE],
        missing=sum(counts[one] for one in CANNOT_RUN),
    )


def _excused(
    path: str, groups: tuple[KernelGroup, ...], sight: Sight, terms: Terms
) -> dict[ComputeCapability, tuple[Excused, ...]]:
    """The kernels that an exemption covers, for each device that has any."""
    # Remembered for all devices: patterns cost time.
    covers = cache(partial(covering, terms.exemptions, path=path))
    found = {}
    for device, positions in sight.excusable:
        excused = tuple(
            Excused(name, position, holding)
            for position in positions
            if (
                possible := _possible(
                    terms, device, groups[position], sight.reaches[device][position]
                )
            )
            for name in groups[position].names
            if (holding := tuple(one for one in covers(name) if one in possible))
        )
        if excused:
            found[device] = excused
    return found


def _possible(
    terms: Terms, device: ComputeCapability, group: KernelGroup, how: Reach
) -> tuple[Exemption, ...]:
    """The exemptions that hold for a device and for code that is embedded and reaches it so."""
    targets = group.embedded.targets
    return tuple(
        exemption
        for exemption in terms.exemptions
        if exemption.holds(device, terms.today)
        and exemption.excuses(how)
        and exemption.fits(targets)
    )
