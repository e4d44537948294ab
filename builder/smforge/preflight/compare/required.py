"""The targets that are required by name: which come out, and what to require instead. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from smforge.arch.requirement import Form, RequiredTarget, Requirements
from smforge.arch.target import ComputeCapability, Target
from smforge.findings import Finding, Level
from smforge.preflight.compare.wording import joined
from smforge.preflight.records import Configuration, Preflight


def required_devices(required: Requirements | None) -> tuple[ComputeCapability, ...] | None:
    """The devices that must lose nothing: those required, and those of required machine code."""
    if required is None:
        return None
    of_targets = (one.target.capability for one in required.targets if one.form is not Form.PTX)
    return tuple(dict.fromkeys((*required.devices, *of_targets)))


def missing_targets(
    requirements: Requirements, compiled: Iterable[Configuration]
) -> tuple[RequiredTarget, ...]:
    """The required targets that no source is compiled as, in the form that is required.

    The audit's rule: a target must be embedded exactly as named (verdict/checks/targets.py).
    """
    units = [unit for one in compiled for unit in one.units]
    held = {
        Form.CUBIN: {target for unit in units for target in unit.targets},
        Form.PTX: {target for unit in units for target in unit.ptx},
    }
    held[Form.ANY] = held[Form.CUBIN] | held[Form.PTX]
    return tuple(one for one in requirements.targets if one.target not in held[one.form])


def target_missing(required: RequiredTarget, configuration: Configuration) -> Finding:
    """A required target that the audit would miss in the result."""
    target = required.target
    near = sorted(
        {
            f"{one.compute}" if required.form is Form.PTX else f"{one.sm}"
            for unit in configuration.units
            for one in (unit.ptx if required.form is Form.PTX else unit.targets)
            if required.form is Form.PTX or one.capability.major == target.capability.major
        }
    )
    there = f"; there is {joined(near)}" if near else ""
    return Finding(
        rule="target-missing",
        level=Level.ERROR,
        message=f"{required} is required, and no source is compiled as that{there}.",
        remedy=f"Require the device {target.capability}, or a target that comes out.",
        device=target.capability,
        target=target,
    )


def required_instead(
    requirements: Requirements, lists: Iterable[Collection[Target]], examined: Iterable[Preflight]
) -> dict[RequiredTarget, ComputeCapability]:
    """The required targets that cannot come out, each with the device to require in its place.

    `lists` are the lists of all components of a build, `examined` the preflights of those that
    could be examined. A target stays required as long as one component that asks for it was not
    examined, or compiles it.
    """
    asking = [set(one) for one in lists]
    preflights = list(examined)
    found = {}
    for required in requirements.targets:
        if required.form is Form.PTX:
            continue  # Machine code in its place is not what was asked for.
        target = required.target
        of_target = [one for one in preflights if target in one.requested]
        lost = [any(c.target == target for c in one.collapsed) for one in of_target]
        if lost and all(lost) and sum(target in one for one in asking) == len(of_target):
            found[required] = target.capability
    return found


def with_devices_instead(
    requirements: Requirements, instead: dict[RequiredTarget, ComputeCapability]
) -> Requirements:
    """Requirements with devices in the place of the targets that cannot come out."""
    return Requirements(
        tuple(dict.fromkeys((*requirements.devices, *instead.values()))),
        tuple(one for one in requirements.targets if one not in instead),
    )
