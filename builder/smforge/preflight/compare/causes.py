"""Groups what a device loses by cause. Pure.

A cause is a line of the build description that leaves sources out, or another target that takes
the place of the device's own in sources, or that no machine code comes out for a device at all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from smforge.findings import Level, Location
from smforge.policy.excuses import Excuse, reason_for
from smforge.preflight.compare.baselines import Kind
from smforge.preflight.compare.losses import DeviceLosses, Key, Loss, Reach


@dataclass(frozen=True, slots=True)
class Cause:
    """Losses of one device that have the same cause."""

    rule: str
    level: Level
    lost: DeviceLosses
    losses: tuple[Loss, ...]
    """Empty if the device gets no machine code, from this list or from any baseline."""
    excused: str | None = None
    """Why the losses do not count."""

    @property
    def keys(self) -> tuple[Key, ...]:
        """The units."""
        return tuple(loss.key for loss in self.losses)

    @property
    def names(self) -> list[str]:
        """What users call them; a module of several sources occurs several times."""
        return [loss.name for loss in self.losses]

    @property
    def locations(self) -> tuple[Location, ...]:
        """Where the build description adds the sources for the baseline."""
        found = {loss.location for loss in self.losses if loss.location is not None}
        return tuple(sorted(found))

    @property
    def taken_away(self) -> bool:
        """Whether the device's own target gets the sources alone, and not beside the others."""
        return bool(
            self.lost.subject.asked
            and self.losses
            and all(loss.baseline.kind is Kind.ALONE for loss in self.losses)
        )


def causes_of(lost: DeviceLosses, excuses: Sequence[Excuse]) -> Iterator[Cause]:
    """The causes of what a device loses."""
    if _is_dropped(lost):
        yield _dropped(lost, excuses)
        return
    groups: dict[tuple[str | None, Reach, tuple[object, ...]], list[Loss]] = defaultdict(list)
    for loss in lost.losses.values():
        excused = excuse_for(loss.key, lost, excuses)
        place = loss.instead if loss.instead and loss.now is Reach.NONE else loss.location
        groups[excused, loss.now, (loss.baseline.kind, place, loss.helps)].append(loss)
    for (excused, now, _), losses in groups.items():
        rule = "source-lost" if now is Reach.NONE else "source-ptx-only"
        yield Cause(rule, _level(lost, losses[0], excused), lost, tuple(losses), excused)


def _dropped(lost: DeviceLosses, excuses: Sequence[Excuse]) -> Cause:
    """A device gets no machine code; excused if all its losses are."""
    losses = tuple(lost.losses.values())
    reasons = [excuse_for(loss.key, lost, excuses) for loss in losses]
    excused = next(iter(reasons), None) if None not in reasons else None
    level = Level.ERROR if lost.subject.required else Level.WARNING
    return Cause(
        rule="arch-dropped",
        level=level if excused is None else Level.NOTE,
        lost=lost,
        losses=losses,
        excused=excused,
    )


def excuse_for(key: Key, lost: DeviceLosses, excuses: Sequence[Excuse]) -> str | None:
    """Why the loss of a unit on a device does not count; None where it does."""
    return reason_for(excuses, key[0], key[1], lost.subject.device)


def _is_dropped(lost: DeviceLosses) -> bool:
    """Whether no machine code comes out for a device, and it was not left to PTX that is there."""
    if lost.having(Reach.NATIVE):
        return False
    left_to_ptx = lost.having(Reach.PTX) and not lost.having(Reach.NONE)
    return bool(lost.subject.asked or not left_to_ptx)


def _level(lost: DeviceLosses, loss: Loss, excused: str | None) -> Level:
    if excused is not None:
        return Level.NOTE
    if not lost.subject.required:
        return Level.WARNING
    # The audit takes PTX for code that runs. It is a loss where the list asks for machine code
    # and a target whose machine code the device could share gets that.
    as_asked = loss.baseline.kind is not Kind.EARLIER and lost.subject.asked
    return Level.ERROR if loss.now is Reach.NONE or as_asked else Level.WARNING
