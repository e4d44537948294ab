"""The kernels that an audit misses on a device, by the source that their region was made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from smforge.arch.coverage import cubin_runs_on
from smforge.arch.target import ComputeCapability, Target
from smforge.inventory.records import Kind, Region
from smforge.verdict.kernels import MACHINE_CODE, region_groups
from smforge.verdict.reach import CANNOT_RUN, reach
from smforge.verdict.records import Verdict


@dataclass(frozen=True, slots=True)
class Missing:
    """Kernels of one region that do not run on a device and are not excused."""

    file: str
    source: str | None
    """The name of the translation unit's file, where the symbols of the region say it."""
    kernels: tuple[str, ...]
    targets: frozenset[Target]
    """The machine code of the whole region."""
    ptx: frozenset[Target]
    """Its PTX."""
    named: frozenset[str]
    """All sources that regions of the file name."""
    has_code: bool
    """Whether the region has machine code for the device, which then lacks these kernels."""


def missing_on(verdict: Verdict, device: ComputeCapability) -> Iterator[Missing]:
    """All of them, file by file. Raises `KeyError` for a device that was not judged."""
    for file in verdict.view.files:
        lacking = Counter(file.devices[device].names(*CANNOT_RUN))
        if not lacking:
            continue
        regions = file.file.counted_regions
        named = frozenset(one.source for one in regions if one.source)
        for region in regions:
            kernels = tuple(_kernels(verdict, region, device, lacking))
            if kernels:
                targets = _targets(region, MACHINE_CODE)
                yield Missing(
                    file=file.file.path,
                    source=region.source,
                    kernels=kernels,
                    targets=targets,
                    ptx=_targets(region, {Kind.PTX}),
                    named=named,
                    has_code=any(cubin_runs_on(one, device) for one in targets),
                )


def _targets(region: Region, kinds: Collection[Kind]) -> frozenset[Target]:
    return frozenset(code.target for code in region.objects if code.kind in kinds)


def _kernels(
    verdict: Verdict, region: Region, device: ComputeCapability, lacking: Counter[str]
) -> Iterator[str]:
    """The kernels of a region that are among those that the file lacks, each as often as there."""
    driver = verdict.view.request.driver
    for embedded, names in region_groups(region):
        if reach(embedded, device, driver) in CANNOT_RUN:
            for name in names:
                if lacking[name]:
                    lacking[name] -= 1
                    yield name
