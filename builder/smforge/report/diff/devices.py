"""Which devices two sides are compared on, and how each side runs there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from smforge.arch.devices import current_devices
from smforge.arch.target import ComputeCapability
from smforge.errors import IncomparableError
from smforge.report.diff.sides import Library, Side
from smforge.report.diff.tallies import Tally, reported, tally_of
from smforge.report.diff.terms import DiffTerms


@dataclass(frozen=True, slots=True)
class View:
    """One side, counted on every device of the comparison."""

    side: Side
    tallies: Mapping[str, Mapping[ComputeCapability, Tally]]
    """By library's path."""
    native_only: bool

    def whole(self, device: ComputeCapability) -> Tally:
        return sum((of.get(device, Tally()) for of in self.tallies.values()), Tally())

    def runs(self, device: ComputeCapability) -> int:
        """How many of all its kernels run on a device."""
        return self.whole(device).runs(native_only=self.native_only)

    def tally(self, library: Library | None, device: ComputeCapability) -> Tally:
        if library is None:
            return Tally()
        return self.tallies[library.path].get(device, Tally())

    def ran_on(self, library: Library | None) -> frozenset[ComputeCapability]:
        """The devices on which something of a library runs."""
        found = {} if library is None else self.tallies[library.path]
        return frozenset(
            device for device, one in found.items() if one.runs(native_only=self.native_only)
        )


def view_of(
    side: Side, devices: Sequence[ComputeCapability], *, named: bool, native_only: bool
) -> View:
    """Count a side: kernel by kernel, or as its report has it."""

    def tally(library: Library, device: ComputeCapability) -> Tally:
        if named:
            return tally_of((library.kernels or {}).values(), device)
        return reported(library.tallies.get(device))

    found = {one.path: {device: tally(one, device) for device in devices} for one in side.libraries}
    return View(side, found, native_only)


def devices_to_compare(
    old: Side, new: Side, terms: DiffTerms, *, named: bool
) -> tuple[ComputeCapability, ...]:
    """Every device that both sides can be seen from.

    Raises `IncomparableError` where a device that matters is not among them.
    """
    asked = set(terms.requirements.devices)
    if named:
        return tuple(sorted(asked | old.devices | new.devices | set(current_devices())))
    both = old.devices & new.devices
    if missing := asked - both:
        raise IncomparableError(
            f"The reports list no kernels, and not both of them count {_words(missing)}.",
            remedy="Save them with --kernels, or with that device required.",
        )
    if not asked and (missing := _ran_on(old, terms) - both):
        raise IncomparableError(
            f"{old.identity.name} runs on {_words(missing)}, which the report of "
            f"{new.identity.name} does not count, and the reports list no kernels.",
            remedy="Save them with --kernels, or say which devices matter with --require.",
        )
    return tuple(sorted(both))


def _ran_on(side: Side, terms: DiffTerms) -> set[ComputeCapability]:
    """The devices a side runs on, as its report has it."""
    return {
        device
        for library in side.libraries
        for device, tally in library.tallies.items()
        if reported(tally).runs(native_only=terms.native_only)
    }


def _words(devices: Iterable[ComputeCapability]) -> str:
    return ", ".join(str(one) for one in sorted(devices))
