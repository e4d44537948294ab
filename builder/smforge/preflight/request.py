"""One configuration to run, and the program that runs it."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from smforge.arch.grammar.torch_list import TorchEntry
from smforge.preflight.sources.tree import Source


@dataclass(frozen=True, slots=True)
class Request:
    """One configuration to run."""

    source: Source
    cuda: str
    archs: tuple[TorchEntry, ...]
    externals: Mapping[str, Path] = field(default_factory=dict)
    """Checkouts of external projects by name, in lower case."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Where checkouts are also named, in variables such as QUTLASS_SRC_DIR."""
    processor: str = platform.machine()
    """The CPU that is built for, as CMake and Python call it."""

    @property
    def variables(self) -> dict[str, str]:
        """The variables of the environment that name checkouts."""
        return {
            name: value
            for name, value in self.environment.items()
            if name.endswith("_SRC_DIR") and value
        }

    @property
    def list(self) -> str:
        """The arch list as the build gets it."""
        return " ".join(str(entry) for entry in self.archs)


@dataclass(frozen=True, slots=True)
class Launch:
    """A program to run in a workspace."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
