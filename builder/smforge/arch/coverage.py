"""Which code runs on which device: the rule behind every verdict.

The rule claims only what NVIDIA documents or an assembler was seen to do; the facts it needs
(families, Tegra, renamed capabilities) and their sources are in data/architectures.json. Where
nothing is promised the answer is no.
"""

from __future__ import annotations

from functools import cache

from smforge.arch.devices import CubinsFrom, find_device
from smforge.arch.tables import table
from smforge.arch.target import ComputeCapability, Suffix, Target


@cache
def cubin_runs_on(target: Target, device: ComputeCapability) -> bool:
    """Whether a device executes machine code compiled for `target`.

    A cubin of unknown suffix is claimed only where plain, a and f code would all run, which is
    on its own capability.
    """
    match target.suffix:
        case Suffix.PLAIN:
            return target.capability == device or _crosses_minor(target.capability, device)
        case Suffix.FAMILY_SPECIFIC:
            return device in family(target)
        case Suffix.ARCH_SPECIFIC | Suffix.UNKNOWN:
            return target.capability == device


@cache
def ptx_assembles_for(target: Target, device: ComputeCapability) -> bool:
    """Whether a driver can assemble PTX for `target` into code for a device.

    This is about the target only. Whether the driver knows the PTX ISA version that the text is
    written in is `smforge.arch.drivers.driver_assembles`. PTX of unknown suffix does not exist;
    it would be treated as specific.
    """
    match target.suffix:
        case Suffix.PLAIN:
            return device >= target.capability
        case Suffix.FAMILY_SPECIFIC:
            return device in family(target) or device in family(_renamed(target))
        case Suffix.ARCH_SPECIFIC | Suffix.UNKNOWN:
            return device in {target.capability, _renamed(target).capability}


def family(target: Target) -> frozenset[ComputeCapability]:
    """The devices that family-specific code for `target` is made for.

    A target that the table lacks has a family of one: its own capability.
    """
    return _families().get(target.capability, frozenset({target.capability}))


def _crosses_minor(code: ComputeCapability, device: ComputeCapability) -> bool:
    """Whether plain machine code for one capability runs on another one of its major."""
    if code.major != device.major or code.minor > device.minor:
        return False
    ends = (find_device(code), find_device(device))
    return all(one is not None and one.cubins_from is CubinsFrom.MAJOR for one in ends)


def _renamed(target: Target) -> Target:
    """The target under the number that its capability has now."""
    return Target(_new_numbers().get(target.capability, target.capability), target.suffix)


@cache
def _families() -> dict[ComputeCapability, frozenset[ComputeCapability]]:
    return {
        Target.parse(row["target"]).capability: frozenset(
            ComputeCapability.parse(text) for text in row["runs_on"]
        )
        for row in table("architectures")["families"]["rows"]
    }


@cache
def _new_numbers() -> dict[ComputeCapability, ComputeCapability]:
    return {
        ComputeCapability.parse(row["old"]): ComputeCapability.parse(row["new"])
        for row in table("architectures")["renamed"]["rows"]
    }
