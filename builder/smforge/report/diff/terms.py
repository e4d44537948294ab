"""The question that a comparison answers."""

from __future__ import annotations

from dataclasses import dataclass, field

from smforge.arch.requirement import Requirements


@dataclass(frozen=True, slots=True)
class DiffTerms:
    """What must not be lost, and what may."""

    requirements: Requirements = field(default_factory=Requirements)
    """Without devices, every device that the old side runs on."""
    native_only: bool = False
    """Whether code that runs only from PTX does not count as running."""
    strict: bool = False
    """Whether a kernel must keep its name."""
    allowed: tuple[str, ...] = ()
    """Shell patterns over library paths, kernel names and families that may be lost."""
    allow_removed: bool = False
    """Whether kernels may be missing that exist for no device any more."""
