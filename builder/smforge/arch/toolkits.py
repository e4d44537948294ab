"""The CUDA toolkits of data/toolkits.json, and why a toolkit does not know a target."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from smforge.arch.drivers import DriverVersion, lowest_driver_for
from smforge.arch.tables import table
from smforge.arch.target import ComputeCapability, Target
from smforge.errors import ArchitectureError

_VERSION = re.compile(r"(?P<release>[1-9]\d?\.\d{1,2})(?:\.\d{1,4})?\Z")


@dataclass(frozen=True, slots=True)
class Toolkit:
    """One release of the CUDA toolkit; its updates (13.0.1, 13.0.2) share a row."""

    version: str
    """Major and minor: ``13.0``."""
    ptx_isa: str
    """The PTX ISA version that its compiler writes: ``9.0``."""
    minor_version_driver: DriverVersion
    """The lowest driver of the same CUDA major, on which machine code alone runs."""
    gcc_min: int
    gcc_max: int
    """The range of gcc majors that nvcc takes as host compiler, both inclusive."""
    targets: frozenset[Target]
    """Every target that its assembler accepts."""
    sources: tuple[str, ...]
    """Keys of the sources in data/toolkits.json."""

    @property
    def release(self) -> tuple[int, int]:
        """The version as numbers, for comparison: (13, 0)."""
        major, minor = self.version.split(".")
        return int(major), int(minor)

    @property
    def minimum_driver(self) -> DriverVersion | None:
        """The lowest driver that also assembles its PTX; None where that is not known."""
        return lowest_driver_for(self.ptx_isa)

    def knows(self, target: Target) -> bool:
        """Whether its compiler accepts a target."""
        return target in self.targets

    def knows_device(self, capability: ComputeCapability) -> bool:
        """Whether its compiler accepts the plain target of a device."""
        return Target(capability) in self.targets

    def supports_gcc(self, major: int) -> bool:
        """Whether nvcc takes a gcc of this major version."""
        return self.gcc_min <= major <= self.gcc_max

    def __str__(self) -> str:
        return f"CUDA {self.version}"


@cache
def toolkits() -> tuple[Toolkit, ...]:
    """Every toolkit of the table, oldest first."""
    found = (
        Toolkit(
            version=row["version"],
            ptx_isa=row["ptx_isa"],
            minor_version_driver=DriverVersion.parse(row["minor_version_driver"]),
            gcc_min=row["gcc"]["min"],
            gcc_max=row["gcc"]["max"],
            targets=frozenset(Target.parse(text) for text in row["targets"].split()),
            sources=tuple(row["sources"]),
        )
        for row in table("toolkits")["toolkits"]
    )
    return tuple(sorted(found, key=lambda one: one.release))


def toolkit(version: str) -> Toolkit:
    """The toolkit of a release or update: ``13.0``, ``13.0.2``. Raises `ArchitectureError`."""
    match = _VERSION.match(version)
    if match is None:
        raise ArchitectureError(
            f"{version!r} is not a CUDA version.", remedy="Write it as 13.0 or 13.0.2."
        )
    for one in toolkits():
        if one.version == match["release"]:
            return one
    known = ", ".join(one.version for one in toolkits())
    raise ArchitectureError(f"CUDA {version} is not in the table.", remedy=f"Known are {known}.")


def lowest_driver_of_major(major: int) -> DriverVersion | None:
    """The oldest driver that runs machine code of a CUDA major; None where it is not known."""
    return next((one.minor_version_driver for one in toolkits() if one.release[0] == major), None)


def explain_unknown(toolkit: Toolkit, target: Target) -> tuple[str, str]:
    """Say why a toolkit does not know a target, and what to do: (reason, remedy).

    Both are sentences. Raises `ValueError` when the toolkit knows the target.
    """
    if toolkit.knows(target):
        raise ValueError(f"{toolkit} knows {target}")
    return (
        _explain_renamed(toolkit, target)
        or _explain_suffix(toolkit, target)
        or _explain_age(toolkit, target)
    )


def _explain_renamed(toolkit: Toolkit, target: Target) -> tuple[str, str] | None:
    for row in table("architectures")["renamed"]["rows"]:
        old, new = ComputeCapability.parse(row["old"]), ComputeCapability.parse(row["new"])
        reason = f"{toolkit} does not know {target}: {row['message']}."
        if target.capability == new and toolkit.knows_device(old):
            # Not "write 10.1": nothing promises that such code runs on what is 11.0 now.
            return reason, f"Use {_where_known(target)}, or leave {target} out."
        if target.capability == old and toolkit.knows_device(new):
            return reason, f"Write {_spelling(toolkit, Target(new, target.suffix))}."
    return None


def _explain_suffix(toolkit: Toolkit, target: Target) -> tuple[str, str] | None:
    if not toolkit.knows_device(target.capability):
        return None
    reason = f"{toolkit} knows {target.capability} but not {target}."
    remedy = f"Write {_spelling(toolkit, target)}"
    elsewhere = _where_known(target)
    return reason, f"{remedy}, or use {elsewhere}." if elsewhere else f"{remedy}."


def _explain_age(toolkit: Toolkit, target: Target) -> tuple[str, str]:
    elsewhere = _where_known(target)
    if elsewhere is None:
        listed = ", ".join(str(one) for one in sorted(toolkit.targets))
        return f"No CUDA toolkit in the table knows {target}.", f"{toolkit} knows {listed}."
    reason = f"{toolkit} does not know {target}"
    if _knowing(target)[0].release > toolkit.release:
        reason += ", which is newer than it"
    elif _knowing(target)[-1].release < toolkit.release:
        reason += " any more"
    return f"{reason}.", f"Use {elsewhere}, or leave {target} out."


def _spelling(toolkit: Toolkit, target: Target) -> str:
    """The target if the toolkit knows it, else the targets it knows of that capability."""
    if toolkit.knows(target):
        return str(target)
    same = sorted(one for one in toolkit.targets if one.capability == target.capability)
    return " or ".join(str(one) for one in same)


def _where_known(target: Target) -> str | None:
    """The toolkits that know a target, in words: ``CUDA 13.0 or later``."""
    knowing = _knowing(target)
    if not knowing:
        return None
    first, last = knowing[0], knowing[-1]
    if last is toolkits()[-1]:
        return f"{first} or later"
    if first is toolkits()[0]:
        return f"{last} or earlier"
    return str(first) if first is last else f"{first} to {last.version}"


def _knowing(target: Target) -> list[Toolkit]:
    return [one for one in toolkits() if one.knows(target)]
