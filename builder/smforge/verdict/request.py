"""What a subject is judged by, and what was learned about it beside its inventory."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from smforge.arch.drivers import DriverVersion
from smforge.arch.requirement import Requirements
from smforge.inventory.jit_tools.records import Companions
from smforge.policy.exemptions import Exemption

if TYPE_CHECKING:
    from smforge.inventory.cuobjdump.agreement import Comparison
    from smforge.inventory.probing.records import Probed
    from smforge.verdict.expectation import Expectation


def today() -> date:
    """The day that decides which exceptions have expired (UTC)."""
    return datetime.now(UTC).date()


@dataclass(frozen=True, slots=True)
class Terms:
    """The question that a verdict answers."""

    requirements: Requirements = field(default_factory=Requirements)
    driver: DriverVersion | None = None
    """The driver of the machines it must run on; None for one that reads all PTX."""
    native_only: bool = False
    """Whether code that runs only from PTX fails the audit."""
    exemptions: tuple[Exemption, ...] = ()
    expectations: tuple[Expectation, ...] = ()
    """What the sources were predicted to become; empty where nothing is compared."""
    today: date = field(default_factory=today)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Observations that only some audits make."""

    backend: str = "native"
    comparison: Comparison | None = None
    """What two backends agreed on; None when one alone was used."""
    families_told: bool = True
    """Whether the cuobjdump that was used prints the suffix f."""
    companions: Companions = field(default_factory=Companions)
    """What the subject brings for compiling on the device."""
    probed: Probed | None = None
    """What was learned by running the subject; None where nothing of it was run."""
