"""The records of a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from smforge.arch.target import ComputeCapability
from smforge.findings import Family, Finding, Outcome, Tally
from smforge.policy.excuses import Excuse
from smforge.verdict.views.subject import SubjectView


class DeviceOutcome(StrEnum):
    """How a subject runs on one device; foreign and excused kernels do not count."""

    NATIVE = "native"
    """All of it runs from machine code."""
    PTX = "ptx"
    """All of it runs, part of it only after the driver has assembled PTX."""
    PARTIAL = "partial"
    """Part of it cannot run."""
    NONE = "none"
    """Nothing of it can run."""


@dataclass(frozen=True, slots=True)
class ExcuseUse:
    """An excuse, and what it excused in this subject."""

    excuse: Excuse
    kernels: int
    """Kernels that it excuses on at least one device."""
    families: tuple[Family, ...]
    devices: tuple[ComputeCapability, ...]


@dataclass(frozen=True, slots=True)
class DeviceVerdict:
    """One device, judged over all files."""

    device: ComputeCapability
    tally: Tally
    outcome: DeviceOutcome


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement of one subject, with all data that it is based on."""

    view: SubjectView
    devices: tuple[DeviceVerdict, ...]
    """The required ones, or all current devices where none is required."""
    findings: tuple[Finding, ...]
    """Errors first, then warnings, then notes."""
    excuses: tuple[ExcuseUse, ...]
    """The excuses that excused something."""
    outcome: Outcome
