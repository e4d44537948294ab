"""Which ptxas Triton runs in an image: those it brings, or the toolkit's where they fall short."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from smforge.arch.target import ComputeCapability, Suffix, Target
from smforge.arch.toolkits import explain_unknown, toolkit
from smforge.errors import ConfigurationError, ImpossibleCellError

BUNDLED, TOOLKIT = "bundled", "toolkit"
_DATA = Path(__file__).parent / "data" / "triton.json"


@dataclass(frozen=True, slots=True)
class Bundled:
    """An assembler in Triton's wheel."""

    name: str
    """``ptxas`` or ``ptxas-blackwell``; TRITON_…_PATH names another one."""
    release: str
    """The CUDA release it belongs to."""
    first: ComputeCapability | None
    """The lowest device whose code it gets; None when it gets what is left."""

    @property
    def variable(self) -> str:
        """The variable of docker-bake.hcl that says whose assembler takes its place."""
        return f"TRITON_{self.name.upper().replace('-', '_')}"


def assembler_choices(
    torch: str, cuda: str, devices: Iterable[ComputeCapability]
) -> dict[str, str]:
    """Per assembler that Triton knows of, ``bundled``, or ``toolkit`` where that must replace it.

    It must where a device of `devices` asks it for a target that it does not know. Raises
    `ConfigurationError` for a torch whose Triton nobody looked into, and `ImpossibleCellError` when
    the toolkit does not know the target either.
    """
    bundled = _bundled_with(torch)
    chosen = {"TRITON_PTXAS": BUNDLED, "TRITON_PTXAS_BLACKWELL": BUNDLED}
    for device in devices:
        target = jit_target(device)
        asked = next(one for one in bundled if one.first is None or device >= one.first)
        if toolkit(asked.release).knows(target):
            continue
        own = toolkit(cuda)
        if not own.knows(target):
            reason, remedy = explain_unknown(own, target)
            raise ImpossibleCellError(
                f"Triton asks for {target.sm} on {device}. Its {asked.name} of CUDA "
                f"{asked.release} does not know it, and the toolkit cannot help: {reason}",
                remedy=remedy,
            )
        chosen[asked.variable] = TOOLKIT
    return chosen


def jit_target(device: ComputeCapability) -> Target:
    """The target that Triton asks its assembler for on a device."""
    specific = device >= ComputeCapability.parse(_table()["arch_specific_from"])
    return Target(device, Suffix.ARCH_SPECIFIC if specific else Suffix.PLAIN)


def _bundled_with(torch: str) -> tuple[Bundled, ...]:
    release = _table()["torch"].get(torch)
    if release is None:
        known = ", ".join(_table()["torch"])
        raise ConfigurationError(
            f"Nobody looked into the Triton that torch {torch} requires.",
            remedy=f"Add it to {_DATA.name}, which knows {known}.",
        )
    return tuple(
        Bundled(
            row["name"],
            row["release"],
            ComputeCapability.parse(row["from"]) if row["from"] else None,
        )
        for row in _table()["triton"][release]
    )


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(_DATA.read_text(encoding="utf-8"))
    return table
