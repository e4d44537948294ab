"""What a verdict is made of: states of kernels, their counts, findings and the outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from smforge.arch.target import ComputeCapability, Target
from smforge.inventory.records import FileInventory, Inventory
from smforge.verdict.arch_packages import Parts
from smforge.verdict.kernels import KernelGroup


class Level(StrEnum):
    """How much a finding weighs: an error decides the outcome, the others inform."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Outcome(StrEnum):
    """The answer to the whole question."""

    PASS = "pass"  # noqa: S105 - the word of the report, not a password
    FAIL = "fail"
    NOTHING = "nothing"
    UNDETERMINED = "undetermined"


class DeviceOutcome(StrEnum):
    """How a subject runs on one device, foreign and exempted kernels left aside."""

    NATIVE = "native"
    """All of it runs from machine code."""
    PTX = "ptx"
    """All of it runs, part of it only after the driver has assembled PTX."""
    PARTIAL = "partial"
    """Part of it cannot run."""
    NONE = "none"
    """Nothing of it can run."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How many kernels are in which state on one device (regions, where names were not read)."""

    native: int = 0
    ptx: int = 0
    foreign: int = 0
    missing: int = 0
    exempt: int = 0
    """How many of the missing and PTX-only ones a policy exempts. They are counted there too."""

    @property
    def total(self) -> int:
        return self.native + self.ptx + self.foreign + self.missing

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.native + other.native,
            self.ptx + other.ptx,
            self.foreign + other.foreign,
            self.missing + other.missing,
            self.exempt + other.exempt,
        )


@dataclass(frozen=True, slots=True)
class Family:
    """Kernels that differ in template arguments alone."""

    name: str
    count: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a rule has to say."""

    rule: str
    level: Level
    message: str
    """A sentence: what is wrong and where."""
    file: str | None = None
    device: ComputeCapability | None = None
    target: Target | None = None
    remedy: str | None = None
    families: tuple[Family, ...] = ()
    """The kernels it is about, the largest families first."""


@dataclass(frozen=True, slots=True)
class ExceptionUse:
    """An exception of a policy and what it exempted here."""

    pattern: str
    reason: str
    policy: str
    """The file it comes from, or `--allow`."""
    reference: str | None
    expires: str | None
    """The last day it holds, as YYYY-MM-DD."""
    kernels: int
    """Kernels it exempts on at least one device."""
    families: tuple[Family, ...]
    devices: tuple[ComputeCapability, ...]


@dataclass(frozen=True, slots=True)
class FileVerdict:
    """One file, judged."""

    file: FileInventory
    groups: tuple[KernelGroup, ...]
    """Its kernels by the code they are embedded as."""
    tallies: Mapping[ComputeCapability, Tally]
    exempt: frozenset[str] = frozenset()
    """Names of kernels that an exception covers."""
    parts: Parts = ()
    """What it is for the devices that a package beside its own may serve."""


@dataclass(frozen=True, slots=True)
class DeviceVerdict:
    """One device, judged over all files."""

    device: ComputeCapability
    tally: Tally
    outcome: DeviceOutcome


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement of one inventory."""

    inventory: Inventory
    files: tuple[FileVerdict, ...]
    devices: tuple[DeviceVerdict, ...]
    """The required ones, or all known devices where none is required."""
    findings: tuple[Finding, ...]
    """Errors first, then warnings, then notes."""
    exceptions: tuple[ExceptionUse, ...]
    outcome: Outcome
    names_read: bool
    """False when only targets were read, so that regions are counted instead of kernels."""
