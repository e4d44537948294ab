"""How code reaches a device: the state of a kernel, decided from what it is embedded as."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache

from smforge.arch.coverage import cubin_runs_on, ptx_assembles_for
from smforge.arch.drivers import DriverVersion, driver_assembles
from smforge.arch.target import ComputeCapability, Suffix
from smforge.errors import UsageError
from smforge.verdict.kernels import Embedded, Ptx


class Reach(StrEnum):
    """What happens when a device is asked to run a kernel."""

    NATIVE = "native"
    """Some embedded cubin runs."""
    PTX = "ptx"
    """No cubin runs, but the driver assembles embedded PTX."""
    PTX_UNSURE = "ptx-unsure"
    """As PTX, but nobody knows whether the given driver reads that PTX ISA version."""
    PTX_TOO_NEW = "ptx-too-new"
    """There is PTX, but the given driver is too old to read it."""
    FOREIGN = "foreign"
    """It exists only as a or f code for other devices: specialised by design."""
    ELSEWHERE = "elsewhere"
    """Its library is one of several for one architecture each, and another serves the device."""
    MISSING = "missing"
    """It exists as ordinary code, and nothing embedded can run here."""
    UNCLEAR = "unclear"
    """It depends on the suffix of a cubin that does not record it."""


RUNS = frozenset({Reach.NATIVE, Reach.PTX, Reach.PTX_UNSURE})
CANNOT_RUN = (Reach.MISSING, Reach.PTX_TOO_NEW, Reach.UNCLEAR)
"""Foreign code, and code whose place another library takes, cannot run but is not meant to."""
EXCUSABLE: Mapping[str, frozenset[Reach]] = {
    "missing": frozenset({Reach.MISSING, Reach.UNCLEAR}),
    "ptx": frozenset({Reach.PTX, Reach.PTX_UNSURE, Reach.PTX_TOO_NEW}),
}
"""What an exception can excuse, by the word that policies have for it."""


@lru_cache(maxsize=65536)
def reach(embedded: Embedded, device: ComputeCapability, driver: DriverVersion | None) -> Reach:
    """Decide how a kernel embedded as `embedded` reaches `device`.

    Without a driver, one that reads every PTX ISA version is assumed.
    """
    if any(cubin_runs_on(target, device) for target in embedded.cubins):
        return Reach.NATIVE
    unknown = [t for t in embedded.cubins if t.suffix is Suffix.UNKNOWN]
    if unknown:
        readings = {reach(_read_as(embedded, s), device, driver) for s in _SUFFIXES}
        return readings.pop() if len(readings) == 1 else Reach.UNCLEAR
    usable = [ptx for ptx in embedded.ptx if ptx_assembles_for(ptx.target, device)]
    if usable:
        return _ptx_reach(usable, driver)
    return Reach.FOREIGN if embedded.specialised else Reach.MISSING


_SUFFIXES = (Suffix.PLAIN, Suffix.ARCH_SPECIFIC, Suffix.FAMILY_SPECIFIC)


def _read_as(embedded: Embedded, suffix: Suffix) -> Embedded:
    cubins = frozenset(
        target._replace(suffix=suffix) if target.suffix is Suffix.UNKNOWN else target
        for target in embedded.cubins
    )
    return Embedded(cubins, embedded.ptx)


def _ptx_reach(usable: list[Ptx], driver: DriverVersion | None) -> Reach:
    if driver is None:
        return Reach.PTX
    answers = {assembles(ptx.isa, driver) for ptx in usable}
    if True in answers:
        return Reach.PTX
    return Reach.PTX_UNSURE if None in answers else Reach.PTX_TOO_NEW


def assembles(isa: str | None, driver: DriverVersion) -> bool | None:
    """Whether a driver reads PTX of version `isa`; None where nobody knows."""
    if isa is None:
        return None
    try:
        return driver_assembles(isa, driver)
    except UsageError:
        # The version line of the PTX is foreign text; what it says may be no version.
        return None
