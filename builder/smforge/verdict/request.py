"""The request of an audit."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from smforge.arch.drivers import DriverVersion
from smforge.arch.requirement import Requirements
from smforge.policy.excuses import Excuse, today

if TYPE_CHECKING:
    from smforge.verdict.expectation import Expectation


@dataclass(frozen=True, slots=True)
class AuditRequest:
    """What a subject must cover, on which driver, and what it may lack."""

    requirements: Requirements = field(default_factory=Requirements)
    driver: DriverVersion | None = None
    """The driver of the machines it must run on; None: a driver that reads all PTX is assumed."""
    native_only: bool = False
    """Whether code that runs only from PTX fails the audit."""
    excuses: tuple[Excuse, ...] = ()
    expectations: tuple[Expectation, ...] = ()
    """The predictions of preflight; empty if nothing is compared."""
    today: date = field(default_factory=today)
    """The day that decides which excuses have expired (UTC)."""
