"""A family was asked for: which of its other devices its code does not serve. Pure.

Those are the sources compiled for the family's first device alone, and the modules that another
device of the family gets when it is asked for by itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from smforge.arch.coverage import family
from smforge.arch.target import ComputeCapability, Suffix, Target
from smforge.findings import Finding, Level
from smforge.policy.excuses import Excuse, reason_for
from smforge.preflight.compare.losses import Comparison, Key, Reach, reaches_of
from smforge.preflight.compare.wording import are_or_is, count, listed
from smforge.preflight.records import Configuration


def narrowed(
    configuration: Configuration,
    target: Target,
    judged: Iterable[ComputeCapability],
    members: Sequence[Comparison],
    excuses: Sequence[Excuse],
) -> Iterator[Finding]:
    """The devices of a family that get less; those that are judged by themselves are left out.

    `members` are other devices of the family, each asked for by itself.
    """
    if target.suffix is not Suffix.FAMILY_SPECIFIC:
        return
    first = reaches_of(configuration, target.capability)
    native = {key for key, reached in first.items() if reached is Reach.NATIVE}
    for device in sorted(family(target) - {target.capability, *judged}):
        reaches = reaches_of(configuration, device)
        groups: dict[str | None, list[str]] = defaultdict(list)
        for key in sorted(native | _by_itself(device, members)):
            if reaches.get(key, Reach.NONE) < Reach.NATIVE:
                groups[reason_for(excuses, key[0], key[1], device)].append(key[2])
        for excused, short in groups.items():
            yield Finding(
                rule="family-narrowed",
                level=Level.WARNING if excused is None else Level.NOTE,
                message=(
                    f"{count(short)} asked for as {target} {are_or_is(short)} not compiled for "
                    f"all of its family and cannot run on {device} as machine code: "
                    f"{listed(short)}."
                ),
                remedy=f"Ask for {device} as well where it is used.",
                device=device,
                target=target,
                sources=tuple(sorted(set(short))),
                excused=excused,
            )


def _by_itself(device: ComputeCapability, members: Iterable[Comparison]) -> set[Key]:
    return {
        key
        for one in members
        if one.baseline.target.capability == device and one.configuration.refusal is None
        for key, reached in reaches_of(one.configuration, device).items()
        if reached is Reach.NATIVE
    }
