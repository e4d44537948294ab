"""Everything a check may look at."""

from __future__ import annotations

from dataclasses import dataclass

from builder.inventory.records import Inventory
from builder.verdict.terms import Evidence, Terms
from builder.verdict.views import FileView


@dataclass(frozen=True, slots=True)
class Case:
    """One inventory before its judge."""

    inventory: Inventory
    views: tuple[FileView, ...]
    terms: Terms
    evidence: Evidence
    names_read: bool

    @property
    def unit(self) -> str:
        """What is counted: kernels, or translation units where no names were read."""
        return "kernels" if self.names_read else "regions"
