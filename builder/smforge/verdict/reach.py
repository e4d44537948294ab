"""How code reaches a device: the state of a kernel, decided from what it is embedded as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from functools import lru_cache

from smforge.arch.coverage import cubin_runs_on, ptx_assembles_for
from smforge.arch.drivers import DriverVersion, driver_assembles
from smforge.arch.picking import cubins_in_question
from smforge.arch.target import ComputeCapability, Suffix, Target
from smforge.errors import UsageError
from smforge.verdict.kernels import Embedded, Ptx


class Reach(StrEnum):
    """What happens when a device is asked to run a kernel."""

    NATIVE = "native"
    """Some embedded cubin runs."""
    PTX = "ptx"
    """No cubin runs, but the driver assembles embedded PTX."""
    PTX_UNSURE = "ptx-unsure"
    """As PTX, but it is not known whether the given driver reads that PTX ISA version."""
    PTX_TOO_NEW = "ptx-too-new"
    """There is PTX, but the given driver is too old to read it."""
    FOREIGN = "foreign"
    """It exists only as a or f code for other devices: specialised by design."""
    ELSEWHERE = "elsewhere"
    """Its package is one of several, one for each architecture, and another serves the device."""
    ALTERNATIVE = "alternative"
    """Other code, from which the program chooses, has a kernel of this name that runs."""
    MISSING = "missing"
    """It exists as ordinary code, and nothing embedded can run here."""
    NOT_PICKED = "not-picked"
    """Code of it would run, but the driver picks other code of the region, which lacks it."""
    UNREACHABLE = "unreachable"
    """It would be missing, but no host code can launch it: another compiler pass made it."""
    UNCLEAR = "unclear"
    """It depends on the suffix of a cubin that does not record it."""
    PICK_UNCLEAR = "pick-unclear"
    """It depends on which of several code objects the driver picks, which is not documented."""


RUNS = frozenset({Reach.NATIVE, Reach.PTX, Reach.PTX_UNSURE})
SERVED_ELSEWHERE = (Reach.FOREIGN, Reach.ELSEWHERE, Reach.ALTERNATIVE)
"""It does not run and is not meant to: other code serves the device."""
LACKING = (Reach.MISSING, Reach.NOT_PICKED)
"""It certainly cannot run, whatever the driver is."""
CANNOT_RUN = (*LACKING, Reach.PTX_TOO_NEW, Reach.UNCLEAR, Reach.PICK_UNCLEAR)
"""Foreign code, code that another library replaces, and code that nothing launches cannot run
either, but is not meant to."""
NOT_KNOWN = (Reach.UNCLEAR, Reach.PICK_UNCLEAR)
"""Whether it runs depends on what is neither recorded nor documented."""
EXCUSABLE: Mapping[str, frozenset[Reach]] = {
    "missing": frozenset({*LACKING, Reach.UNCLEAR, Reach.PICK_UNCLEAR}),
    "ptx": frozenset({Reach.PTX, Reach.PTX_UNSURE, Reach.PTX_TOO_NEW}),
}
"""What an excuse can be for, by the word that policies have for it."""


@lru_cache(maxsize=65536)
def reach(embedded: Embedded, device: ComputeCapability, driver: DriverVersion | None) -> Reach:
    """Decide how a kernel embedded as `embedded` reaches `device`.

    Without a driver, one that reads every PTX ISA version is assumed.
    """
    how = _reach(embedded, device, driver)
    if how is not Reach.NATIVE and embedded.alternatives:
        others = {_reach(one, device, driver) for one in embedded.alternatives}
        if Reach.NATIVE in others or (how not in RUNS and others & RUNS):
            return Reach.ALTERNATIVE
    return Reach.UNREACHABLE if embedded.unregistered and how in LACKING else how


def _reach(embedded: Embedded, device: ComputeCapability, driver: DriverVersion | None) -> Reach:
    every = embedded.cubins | embedded.lacking_cubins
    if any(target.suffix is Suffix.UNKNOWN for target in every):
        readings = {_reach(_read_as(embedded, s), device, driver) for s in _SUFFIXES}
        return readings.pop() if len(readings) == 1 else Reach.UNCLEAR
    usable = [ptx for ptx in embedded.ptx if ptx_assembles_for(ptx.target, device)]
    picked = cubins_in_question(every, device)
    if picked and (usable or any(cubin_runs_on(one, device) for one in embedded.cubins)):
        return _picked_reach(embedded, picked)
    if usable:
        also = any(ptx_assembles_for(target, device) for target in embedded.lacking_ptx)
        return Reach.PICK_UNCLEAR if also else _ptx_reach(usable, driver)
    return Reach.FOREIGN if embedded.specialised else Reach.MISSING


def _picked_reach(embedded: Embedded, picked: frozenset[Target]) -> Reach:
    """How a kernel reaches a device if the driver picks one of `picked`."""
    if not picked & embedded.lacking_cubins:
        return Reach.NATIVE
    return Reach.PICK_UNCLEAR if picked & embedded.cubins else Reach.NOT_PICKED


_SUFFIXES = (Suffix.PLAIN, Suffix.ARCH_SPECIFIC, Suffix.FAMILY_SPECIFIC)


def _read_as(embedded: Embedded, suffix: Suffix) -> Embedded:
    """The same code, if cubins that do not record their suffix have this one."""

    def read(targets: frozenset[Target]) -> frozenset[Target]:
        return frozenset(
            target._replace(suffix=suffix) if target.suffix is Suffix.UNKNOWN else target
            for target in targets
        )

    return replace(
        embedded,
        cubins=read(embedded.cubins),
        lacking_cubins=read(embedded.lacking_cubins),
    )


def _ptx_reach(usable: list[Ptx], driver: DriverVersion | None) -> Reach:
    if driver is None:
        return Reach.PTX
    answers = {assembles(ptx.isa, driver) for ptx in usable}
    if True in answers:
        return Reach.PTX
    return Reach.PTX_UNSURE if None in answers else Reach.PTX_TOO_NEW


def assembles(isa: str | None, driver: DriverVersion) -> bool | None:
    """Whether a driver reads PTX of version `isa`; None where that is not known."""
    if isa is None:
        return None
    try:
        return driver_assembles(isa, driver)
    except UsageError:
        # The version line of the PTX is foreign text; what it says may be no version.
        return None
