"""Rules, findings and counts, for preflight and for the audit."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from smforge.arch.target import ComputeCapability, Target


class Level(StrEnum):
    """How much a finding weighs: an error decides the outcome, the others inform."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Outcome(StrEnum):
    """The answer to the whole question. A preflight knows the first two alone."""

    PASS = "pass"  # noqa: S105 - the word of the report, not a password
    FAIL = "fail"
    NOTHING = "nothing"
    """There is no GPU code to judge."""
    UNDETERMINED = "undetermined"
    """Something that decides is not known."""


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """A line of a build description; `file` is relative to the tree."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Member:
    """One kernel of a family."""

    name: str
    """As C++ spells it."""
    embedded: tuple[str, ...]
    """What it is embedded as: ``sm_80``, ``compute_90``."""


@dataclass(frozen=True, slots=True)
class Family:
    """Kernels that differ only in template arguments."""

    name: str
    count: int
    members: tuple[Member, ...] = ()
    """All of them, if they are few and each is named; otherwise empty."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One defect or fact that belongs to a rule."""

    rule: str
    level: Level
    message: str
    """A sentence: what is wrong and where."""
    file: str | None = None
    """The library, relative to the subject."""
    device: ComputeCapability | None = None
    """The device it is about, or the first of `devices`."""
    target: Target | None = None
    remedy: str | None = None
    families: tuple[Family, ...] = ()
    """The kernels it is about, the largest families first."""
    location: Location | None = None
    """The place in the sources, where a preflight found it."""
    sources: tuple[str, ...] = ()
    """The source files it is about, where a preflight found it."""
    excused: str | None = None
    """The reason why it does not count, where a policy excuses it."""
    devices: tuple[ComputeCapability, ...] = ()
    """All devices it is about, where one cause holds for several."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A kind of finding."""

    id: str
    level: Level
    """How much it weighs unless a check says otherwise."""
    summary: str
    """What it means when this rule finds something, in one sentence."""
    undetermined: bool = False
    """Whether an error says that the answer is not known, rather than that it is no."""

    def finding(  # noqa: PLR0913 - one argument per field of a finding
        self,
        message: str,
        *,
        level: Level | None = None,
        file: str | None = None,
        device: ComputeCapability | None = None,
        target: Target | None = None,
        remedy: str | None = None,
        families: tuple[Family, ...] = (),
        location: Location | None = None,
        sources: tuple[str, ...] = (),
        excused: str | None = None,
    ) -> Finding:
        """Make a finding of this rule, at the rule's own level unless another is given."""
        return Finding(
            rule=self.id,
            level=level or self.level,
            message=message,
            file=file,
            device=device,
            target=target,
            remedy=remedy,
            families=families,
            location=location,
            sources=sources,
            excused=excused,
        )


@dataclass(frozen=True, slots=True)
class Tally:
    """How many items are in which state on one device.

    An audit counts kernels (translation units where no names were read), a preflight sources.
    """

    native: int = 0
    """Machine code that the device runs is there."""
    ptx: int = 0
    """Only PTX that the driver can assemble is there."""
    foreign: int = 0
    """Made for other devices by design, or served by another package there."""
    missing: int = 0
    """Nothing that is there runs on the device."""
    unreachable: int = 0
    """It would be missing, but no host code can launch it on any device."""
    missing_excused: int = 0
    """How many of the missing ones a policy excuses. They are counted in `missing` too."""
    ptx_excused: int = 0
    """How many of those that are PTX only a policy excuses. They are counted in `ptx` too."""
    unclear: int = 0
    """How many of the missing and not excused ones depend on a suffix that their file does not
    record. They are counted in `missing` too."""

    @property
    def total(self) -> int:
        """All items: their number is the same on each device."""
        return self.native + self.ptx + self.foreign + self.missing + self.unreachable

    @property
    def excused(self) -> int:
        """How many a policy excuses."""
        return self.missing_excused + self.ptx_excused

    @property
    def runs(self) -> int:
        """How many run, from machine code or from PTX."""
        return self.native + self.ptx

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.native + other.native,
            self.ptx + other.ptx,
            self.foreign + other.foreign,
            self.missing + other.missing,
            self.unreachable + other.unreachable,
            self.missing_excused + other.missing_excused,
            self.ptx_excused + other.ptx_excused,
            self.unclear + other.unclear,
        )
