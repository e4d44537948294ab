"""What is known of a subject before it is judged."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from smforge.inventory.jit_tools.records import HostFiles
from smforge.inventory.records import Inventory

if TYPE_CHECKING:
    from smforge.inventory.cuobjdump.agreement import Comparison
    from smforge.inventory.probing.records import Probed


class Backend(StrEnum):
    """Who reads the code objects."""

    NATIVE = "native"
    CUOBJDUMP = "cuobjdump"
    BOTH = "both"
    """The native reader, confirmed by cuobjdump object by object."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The content of a subject, its readers, whether they agree, and the facts of a run of it."""

    inventory: Inventory
    backend: Backend = Backend.NATIVE
    cuobjdump_version: str | None = None
    comparison: Comparison | None = None
    """What two backends agreed on; None where one alone was used."""
    host_files: HostFiles = field(default_factory=HostFiles)
    """What the subject brings for compiling on the device."""
    prints_suffix_f: bool = True
    """Whether the cuobjdump that was used prints the suffix f."""
    probed: Probed | None = None
    """The facts of a run of the subject; None if nothing of it was run."""
