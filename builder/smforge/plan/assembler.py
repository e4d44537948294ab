"""Decides which ptxas Triton runs in an image: its own, or the toolkit's if its own lacks a
target.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from smforge.arch.target import ComputeCapability
from smforge.arch.toolkits import explain_unknown, toolkit
from smforge.arch.triton import TritonRules, triton_release
from smforge.errors import ConfigurationError, ImpossibleCellError

BUNDLED, TOOLKIT = "bundled", "toolkit"
_DATA = Path(__file__).parent / "data" / "torch_triton.json"
_VARIABLES = {"ptxas": "TRITON_PTXAS", "ptxas-blackwell": "TRITON_PTXAS_BLACKWELL"}
"""The variables of docker-bake.hcl that say which assembler replaces each file."""


def assembler_choices(
    torch: str, cuda: str, devices: Iterable[ComputeCapability]
) -> dict[str, str]:
    """Per assembler that Triton knows of, ``bundled``, or ``toolkit`` where that must replace it.

    It must where a device of `devices` asks it for a target that it does not know. Raises
    `ConfigurationError` for a torch whose Triton is not in the table, and `ImpossibleCellError`
    where the toolkit's does not know the target either, or where this Triton cannot use it.
    """
    rules = _triton_of(torch)
    assert rules.bundled is not None
    chosen = dict.fromkeys(_VARIABLES.values(), BUNDLED)
    for device in devices:
        file = rules.assembler_for(device)
        if not toolkit(rules.bundled[file]).knows(rules.target_for(device)):
            _require_usable(rules, device, cuda)
            chosen[_VARIABLES[file]] = TOOLKIT
    return chosen


def _require_usable(rules: TritonRules, device: ComputeCapability, cuda: str) -> None:
    """Raise `ImpossibleCellError` if the toolkit's assembler cannot be used either."""
    own, target, file = toolkit(cuda), rules.target_for(device), rules.assembler_for(device)
    if not own.knows(target):
        reason, remedy = explain_unknown(own, target)
    elif refusal := rules.refusal(own.version):
        reason, remedy = f"{refusal}.", "Use a newer torch, which requires a newer Triton."
    else:
        return
    assert rules.bundled is not None
    raise ImpossibleCellError(
        f"{rules.name} asks for {target.sm} on {device}. Its {file} of CUDA {rules.bundled[file]} "
        f"does not know it, and the toolkit cannot help: {reason}",
        remedy=remedy,
    )


def _triton_of(torch: str) -> TritonRules:
    required = _table()["torch"].get(torch)
    rules = triton_release(required) if required else None
    if rules is None:
        known = ", ".join(_table()["torch"])
        raise ConfigurationError(
            f"The Triton that torch {torch} requires is not known.",
            remedy=f"Add it to {_DATA.name}, which knows {known}.",
        )
    return rules


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(_DATA.read_text(encoding="utf-8"))
    return table
