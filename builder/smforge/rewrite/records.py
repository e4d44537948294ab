"""What a rewriting is made of: the request, and what became another in each library."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from smforge.arch.target import ComputeCapability
from smforge.inventory.records import Kind


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a rewriting."""

    keep: tuple[ComputeCapability, ...] = ()
    """The devices whose code stays; empty where nothing is taken out."""
    serve: tuple[ComputeCapability, ...] = ()
    """The devices for which machine code is made from PTX."""
    keep_ptx: bool = False
    """Whether PTX stays for devices to come."""
    toolkit: str | None = None
    """Whose assembler is used; None for the oldest one that can do it."""
    ptxas: Path | None = None
    """The assembler to use instead of a fetched one."""

    @property
    def label(self) -> str:
        """The part of a version that says what was done: ``sm121``, ``repaired.sm120``."""
        kept = ".".join(f"sm{one.number}" for one in self.keep)
        served = ".".join(f"sm{one.number}" for one in self.serve)
        if not self.keep:
            return f"repaired.{served}"
        return f"{kept}.repaired" if self.serve else kept


@dataclass(frozen=True, slots=True)
class ObjectRecord:
    """One code object of a region."""

    kind: Kind
    target: str
    """``sm_120f`` or ``compute_90``."""
    bytes: int
    """As it stands in the file, with its header and padding."""
    sha256: str
    """Of these bytes."""


@dataclass(frozen=True, slots=True)
class MadeRecord:
    """One code object that was made and added."""

    object: ObjectRecord
    ptx_sha256: str
    """Of the text that it was made from."""
    options: str
    assembler: str
    """The release of ptxas: ``13.0.88``."""


@dataclass(frozen=True, slots=True)
class RegionChange:
    """What was done to one region."""

    number: int
    """Its place among the regions of the library, from 0."""
    kept: tuple[ObjectRecord, ...]
    dropped: tuple[ObjectRecord, ...]
    added: tuple[MadeRecord, ...]
    marker: ObjectRecord | None = None
    """The empty PTX that stands in a region of which no kept device needs anything."""


@dataclass(frozen=True, slots=True)
class LibraryChange:
    """What was done to one library."""

    path: str
    size_before: int
    size_after: int
    sha256_before: str
    sha256_after: str
    regions: tuple[RegionChange, ...] = field(default_factory=tuple)
