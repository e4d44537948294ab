"""How many kernels run on a device, before and after, and what that amounts to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from smforge.arch.target import ComputeCapability
from smforge.report import model
from smforge.report.diff.pairing import Change
from smforge.verdict.kernels import Embedded
from smforge.verdict.reach import Reach, reach


@dataclass(frozen=True, slots=True)
class Tally:
    """Kernels (or regions) on one device."""

    native: int = 0
    ptx: int = 0
    total: int = 0
    unclear: int = 0
    """Of those that do not run: it depends on a suffix that the file does not record."""

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.native + other.native,
            self.ptx + other.ptx,
            self.total + other.total,
            self.unclear + other.unclear,
        )

    def runs(self, *, native_only: bool) -> int:
        return self.native if native_only else self.native + self.ptx


@dataclass(frozen=True, slots=True)
class Movement:
    """What happened to kernels on one device."""

    lost: int = 0
    gone: int = 0
    """Of the lost ones: they exist for no device any more."""
    gained: int = 0
    demoted: int = 0

    def __add__(self, other: Movement) -> Movement:
        return Movement(
            self.lost + other.lost,
            self.gone + other.gone,
            self.gained + other.gained,
            self.demoted + other.demoted,
        )


def tally_of(embedded: Iterable[Counter[Embedded]], device: ComputeCapability) -> Tally:
    """Count kernels by what they are embedded as, seen from a device with a recent driver."""
    native = ptx = total = unclear = 0
    for counter in embedded:
        for code, number in counter.items():
            how = reach(code, device, None)
            total += number
            native += number if how is Reach.NATIVE else 0
            ptx += number if how is Reach.PTX else 0
            unclear += number if how in (Reach.UNCLEAR, Reach.PICK_UNCLEAR) else 0
    return Tally(native, ptx, total, unclear)


def reported(tally: model.Tally | None) -> Tally:
    """The tally of a saved report."""
    if tally is None:
        return Tally()
    total = tally.native + tally.ptx + tally.foreign + tally.missing + tally.unreachable
    return Tally(tally.native, tally.ptx, total)


def movement(old: Tally, new: Tally, change: Change, *, native_only: bool) -> Movement:
    """Compare the same kernels before and after."""
    before, after = old.runs(native_only=native_only), new.runs(native_only=native_only)
    lost = max(0, before - after)
    if change in (Change.SAME, Change.MOVED):
        # Fewer regions may hold a kernel of one name than did before. It is lost where a region
        # that does hold it has no code for the device.
        lost = min(lost, new.total - after)
        gone = 0
    else:
        gone = min(lost, max(0, old.total - new.total))
    demoted = 0 if native_only else min(max(0, old.native - new.native - lost), new.ptx)
    return Movement(lost, gone, max(0, after - before), demoted)
