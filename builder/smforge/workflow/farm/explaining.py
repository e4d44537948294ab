"""``--explain``: why a cell has to be built, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from smforge.plan.records import Cell
from smforge.workflow.building.freshness import Freshness

SCHEMA_VERSION = 1


def explained_text(found: Sequence[tuple[Cell, Freshness]]) -> str:
    """A block for each cell: whether it is up to date, and every reason against it."""
    blocks = []
    for cell, state in found:
        name = f"{cell.variant} {cell.platform}"
        since = ""
        if state.former is not None:
            when = state.former.finished.strftime("%Y-%m-%d %H:%M UTC")
            since = f", last verified result of {when}"
        if state.up_to_date:
            blocks.append(f"{name}: up to date{since}")
        else:
            reasons = "\n".join(f"  {reason}" for reason in state.reasons)
            blocks.append(f"{name}: would be built{since}\n{reasons}")
    return "\n".join(blocks) + "\n"


def explained_document(found: Sequence[tuple[Cell, Freshness]]) -> dict[str, Any]:
    """The same as plain data, with the digest of every input then and now."""
    return {
        "schema_version": SCHEMA_VERSION,
        "cells": [
            {
                "cell": cell.name,
                "variant": cell.variant,
                "platform": cell.platform,
                "up_to_date": state.up_to_date,
                "reasons": list(state.reasons),
                "inputs": dict(state.inputs),
                "inputs_before": None if state.former is None else state.former.inputs,
            }
            for cell, state in found
        ],
    }
