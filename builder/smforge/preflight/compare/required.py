"""What findings weigh when certain devices are required. Pure.

By itself a preflight takes every device of the list for wanted. A build knows better: its variant
says which devices it must run on, and its list may hold more than that, or serve a required device
through its family only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from smforge.arch.requirement import RequiredTarget, Requirements
from smforge.arch.target import ComputeCapability, Target
from smforge.findings import Finding, Level
from smforge.preflight.records import Preflight


def weighed(
    findings: Iterable[Finding],
    required: Collection[ComputeCapability],
    requested: Sequence[Target],
) -> Iterator[Finding]:
    """Findings as they weigh for the required devices.

    What only other devices lose is a warning. What a family's code does not give a required device
    is an error, where the list does not ask for that device itself.
    """
    named = {target.capability for target in requested}
    for finding in findings:
        device = finding.device
        if finding.level is Level.ERROR and device is not None and device not in required:
            message = f"{finding.message} {device} is not required."
            yield replace(finding, level=Level.WARNING, message=message)
        elif (
            finding.rule == "family-narrowed"
            and finding.level is Level.WARNING
            and device in required
            and device not in named
        ):
            yield replace(finding, level=Level.ERROR)
        else:
            yield finding


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
