"""One subject as one request sees it: what the checks read, and what the verdict keeps."""

from __future__ import annotations

from dataclasses import dataclass

from smforge.inventory.records import Inventory
from smforge.verdict.reading import Reading
from smforge.verdict.request import AuditRequest
from smforge.verdict.views.files import FileView


@dataclass(frozen=True, slots=True)
class SubjectView:
    """All files of a subject, seen from every device in question."""

    reading: Reading
    request: AuditRequest
    files: tuple[FileView, ...]
    names_read: bool
    """False where only targets were read, so that translation units are counted, not kernels."""

    @property
    def inventory(self) -> Inventory:
        """What the subject holds."""
        return self.reading.inventory

    @property
    def unit(self) -> str:
        """What is counted: kernels, or regions (translation units) where no names were read."""
        return "kernels" if self.names_read else "regions"
