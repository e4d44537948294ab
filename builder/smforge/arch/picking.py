"""Which code object of a fatbin the driver picks for a device.

What NVIDIA documents of it, what it does not, and the sources are in data/architectures.json, under
``picking``. Where nothing is documented, every choice is considered.
"""

from __future__ import annotations

from collections.abc import Collection

from smforge.arch.coverage import cubin_runs_on
from smforge.arch.target import ComputeCapability, Target


def cubins_in_question(targets: Collection[Target], device: ComputeCapability) -> frozenset[Target]:
    """Of the cubins of one fatbin, those of which the driver picks one for a device.

    NVIDIA documents that the best matching code is picked, that code for the device's own
    capability goes before other code, and that a cubin that runs goes before PTX (sources:
    ``picking`` in data/architectures.json). It documents no order among several cubins of the own
    capability (sm_90 and sm_90a), nor among several for lower ones: all of those are in question.
    """
    running = frozenset(target for target in targets if cubin_runs_on(target, device))
    return frozenset(one for one in running if one.capability == device) or running
