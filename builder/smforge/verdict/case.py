"""Everything a check may look at."""

from __future__ import annotations

from dataclasses import dataclass

from smforge.inventory.records import Inventory
from smforge.verdict.request import Evidence, Terms
from smforge.verdict.views import FileView


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
