"""What the pages of an audit and of a preflight share: devices, and which code runs on them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from smforge.arch.coverage import cubin_runs_on, ptx_assembles_for
from smforge.arch.devices import find_device
from smforge.arch.target import ComputeCapability, Target
from smforge.report.html.matrix import Column
from smforge.report.state import Counts, State


def device_column(
    device: ComputeCapability, *, required: bool, state: State, counts: Counts
) -> Column:
    """The column of a device."""
    known = find_device(device)
    return Column(
        id=str(device),
        architecture=known.architecture if known else "",
        products=known.products if known else (),
        required=required,
        state=state,
        tally=counts,
    )


def runs_on(
    codes: Iterable[tuple[Target, bool]], devices: Sequence[ComputeCapability]
) -> dict[str, tuple[str, ...]]:
    """Per code, ``sm_90a`` or ``compute_80``, the devices that run it or can assemble it.

    `codes` are targets, and whether the code is PTX.
    """
    found: dict[str, tuple[str, ...]] = {}
    for target, ptx in dict.fromkeys(codes):
        runs = ptx_assembles_for if ptx else cubin_runs_on
        name = target.compute if ptx else target.sm
        found[name] = tuple(str(one) for one in devices if runs(target, one))
    return found
