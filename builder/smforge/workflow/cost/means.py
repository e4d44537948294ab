"""The machine that a plan is priced for."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Means:
    """What a machine compiles with."""

    cores: int
    memory_bytes: int


def this_host() -> Means:
    """The cores and memory of this host."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Means(os.cpu_count() or 1, memory)
