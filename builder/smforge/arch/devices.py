"""The devices of data/architectures.json: what NVIDIA sells under each compute capability."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from smforge.arch.tables import table
from smforge.arch.target import ComputeCapability
from smforge.errors import ArchitectureError


class Status(StrEnum):
    """The status of a device in NVIDIA's lists of products."""

    CURRENT = "current"
    LEGACY = "legacy"
    ALIAS = "alias"
    """A former number of another device: 10.1 was Jetson Thor before it became 11.0."""
    UNLISTED = "unlisted"
    """Compilers know the number; no listed product has it."""


class CubinsFrom(StrEnum):
    """Which plain cubins a device takes, and which devices take its own."""

    MAJOR = "major"
    """Those of its major with the same or a lower minor."""
    EXACT = "exact"
    """Its own only: NVIDIA promises no binary compatibility on Tegra, nor between it and others."""


@dataclass(frozen=True, slots=True)
class Device:
    """One compute capability as a device that code can run on."""

    capability: ComputeCapability
    architecture: str
    """NVIDIA's name of the generation: ``Blackwell``."""
    products: tuple[str, ...]
    """Some well-known products, not all; empty where NVIDIA lists none."""
    tegra: bool
    cubins_from: CubinsFrom
    status: Status
    alias_of: ComputeCapability | None = None
    note: str | None = None
    host: str | None = None
    """The CPU that every product with this device has, where there is one alone: ``aarch64``."""
    names: tuple[str, ...] = ()
    """The words that a command line takes for it: ``spark``."""


@cache
def devices() -> tuple[Device, ...]:
    """Every device of the table, by capability."""
    rows = table("architectures")["devices"]
    found = (
        Device(
            capability=ComputeCapability.parse(row["capability"]),
            architecture=row["architecture"],
            products=tuple(row["products"]),
            tegra=row["tegra"],
            cubins_from=CubinsFrom(row["cubins_from"]),
            status=Status(row["status"]),
            alias_of=ComputeCapability.parse(row["alias_of"]) if "alias_of" in row else None,
            note=row.get("note"),
            host=row.get("host"),
            names=tuple(row.get("names", ())),
        )
        for row in rows
    )
    return tuple(sorted(found, key=lambda one: one.capability))


@cache
def current_devices() -> tuple[ComputeCapability, ...]:
    """The capabilities with listed, current products: what a report shows when none is required."""
    return tuple(one.capability for one in devices() if one.status is Status.CURRENT)


def find_device(capability: ComputeCapability) -> Device | None:
    """The device with this capability, or None where the table has no row."""
    return _by_capability().get(capability)


def named_device(word: str) -> Device | None:
    """The device that a word means, however it is spelled: ``RTX-5090`` is ``rtx5090``."""
    plain = "".join(one for one in word.lower() if one.isalnum())
    return next((one for one in devices() if plain in one.names), None)


def device(capability: ComputeCapability) -> Device:
    """The device with this capability. Raises `ArchitectureError` for an unknown one."""
    found = find_device(capability)
    if found is None:
        known = ", ".join(str(one) for one in current_devices())
        raise ArchitectureError(
            f"No device with compute capability {capability} is known.",
            remedy=f"Current devices are {known}.",
        )
    return found


@cache
def _by_capability() -> dict[ComputeCapability, Device]:
    return {one.capability: one for one in devices()}
