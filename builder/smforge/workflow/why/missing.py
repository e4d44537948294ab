"""The kernels that an audit misses on a device, by the source that their region was made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from smforge.arch.coverage import cubin_runs_on
from smforge.arch.target import ComputeCapability, Target
from smforge.inventory.records import Region
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
    has_code: bool
    """Whether the region has machine code for the device, which then lacks these kernels."""


def missing_on(verdict: Verdict, device: ComputeCapability) -> Iterator[Missing]:
    """All of them, file by file. Raises `KeyError` for a device that was not judged."""
    for file in verdict.view.files:
        lacking = Counter(file.devices[device].names(*CANNOT_RUN))
        for region in file.file.counted_regions if lacking else ():
            kernels = tuple(_kernels(verdict, region, device, lacking))
            if kernels:
                targets = frozenset(
                    code.target for code in region.objects if code.kind in MACHINE_CODE
                )
                runs = any(cubin_runs_on(one, device) for one in targets)
                yield Missing(file.file.path, region.source, kernels, targets, runs)


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
