"""Compares what a list gives to a device with its baselines. Without effects.

A source that is left out is not always a loss (Machete is made for Hopper). It is a loss when
the device's own target alone, or a relative of the device, gets it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from smforge.arch.coverage import cubin_runs_on, ptx_assembles_for
from smforge.arch.target import ComputeCapability, Target
from smforge.findings import Location, Tally
from smforge.preflight.compare.baselines import Baseline
from smforge.preflight.records import Configuration, Unit

Key = tuple[str, str, str]
"""Extension, source and label: what makes a unit the same in two configurations."""


class Reach(IntEnum):
    """How a unit reaches a device, the worst first."""

    NONE = 0
    PTX = 1
    NATIVE = 2


@dataclass(frozen=True, slots=True)
class Comparison:
    """A baseline, and what the sources make of it."""

    baseline: Baseline
    configuration: Configuration


@dataclass(frozen=True, slots=True)
class Subject:
    """A device that is judged."""

    device: ComputeCapability
    asked: tuple[Target, ...]
    """Its targets in the list; empty where only its requirement names it."""
    required: bool
    """Whether a loss is an error."""

    @property
    def name(self) -> str:
        """As the list names it, where it does so in one way."""
        return str(self.asked[0] if len(self.asked) == 1 else self.device)

    @property
    def target(self) -> Target | None:
        """The one target that the list has for it."""
        return self.asked[0] if len(self.asked) == 1 else None


@dataclass(frozen=True, slots=True)
class Loss:
    """A unit that a baseline runs as machine code and the device does not."""

    key: Key
    now: Reach
    baseline: Baseline
    location: Location | None
    """Where the build description adds the source for the baseline."""
    helps: bool
    """Whether the baseline's code would run on the device."""
    instead: tuple[Target, ...]
    """What the source is compiled for where it is compiled, of the device's own major version."""

    @property
    def name(self) -> str:
        """The name of the source for users."""
        return self.key[2]


@dataclass(frozen=True, slots=True)
class DeviceLosses:
    """How the sources reach one device, and what it could get."""

    subject: Subject
    reaches: Mapping[Key, Reach]
    losses: Mapping[Key, Loss]
    compared_with: tuple[Baseline, ...]
    """The baselines that could be configured."""

    @property
    def tally(self) -> Tally:
        """The numbers of a report's row."""
        reached = Counter(self.reaches.values())
        missing = [key for key, loss in self.losses.items() if loss.now is Reach.NONE]
        return Tally(
            native=reached[Reach.NATIVE],
            ptx=reached[Reach.PTX],
            foreign=reached[Reach.NONE] - sum(key in self.reaches for key in missing),
            missing=len(missing),
        )

    @property
    def lists(self) -> tuple[str, ...]:
        """The lists that it was compared with."""
        return tuple(dict.fromkeys(" ".join(map(str, one.archs)) for one in self.compared_with))

    def having(self, how: Reach) -> tuple[Key, ...]:
        """The units that reach the device in a way."""
        return tuple(key for key, reached in self.reaches.items() if reached is how)


def reach(unit: Unit, device: ComputeCapability) -> Reach:
    """How a unit's code runs on a device, by the rule of the audit (arch/coverage)."""
    if any(cubin_runs_on(target, device) for target in unit.targets):
        return Reach.NATIVE
    if any(ptx_assembles_for(target, device) for target in unit.ptx):
        return Reach.PTX
    return Reach.NONE


def key_of(unit: Unit) -> Key:
    """What makes a unit the same in two configurations."""
    return unit.extension, unit.source, unit.label


def reaches_of(configuration: Configuration, device: ComputeCapability) -> dict[Key, Reach]:
    """How every unit of a configuration reaches a device."""
    return {key_of(unit): reach(unit, device) for unit in configuration.units}


def losses_of(
    configuration: Configuration, subject: Subject, comparisons: Sequence[Comparison]
) -> DeviceLosses:
    """What a configuration does not give to a device; the first baseline that has it counts."""
    device = subject.device
    units = {key_of(unit): unit for unit in configuration.units}
    reaches = {key: reach(unit, device) for key, unit in units.items()}
    made = [one for one in comparisons if one.configuration.refusal is None]
    losses: dict[Key, Loss] = {}
    for comparison in made:
        baseline = comparison.baseline
        for unit in comparison.configuration.units:
            key = key_of(unit)
            now = reaches.get(key, Reach.NONE)
            if (
                now < Reach.NATIVE
                and key not in losses
                and reach(unit, baseline.target.capability) is Reach.NATIVE
            ):
                losses[key] = Loss(
                    key,
                    now,
                    baseline,
                    unit.location,
                    reach(unit, device) is Reach.NATIVE,
                    _of_major(units.get(key), device.major),
                )
    return DeviceLosses(subject, reaches, losses, tuple(one.baseline for one in made))


def subjects_of(
    requested: Iterable[Target], required: Sequence[ComputeCapability] | None
) -> tuple[Subject, ...]:
    """The devices that are judged, in the list's order, then those that are only required.

    Without requirements every device of the list is one.
    """
    asked: dict[ComputeCapability, list[Target]] = {}
    for target in requested:
        asked.setdefault(target.capability, []).append(target)
    devices = dict.fromkeys((*asked, *(required or ())))
    return tuple(
        Subject(
            device,
            tuple(dict.fromkeys(asked.get(device, ()))),
            required is None or device in required,
        )
        for device in devices
    )


def _of_major(unit: Unit | None, major: int) -> tuple[Target, ...]:
    targets = () if unit is None else unit.targets
    return tuple(one for one in targets if one.capability.major == major)
