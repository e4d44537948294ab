"""``--explain``: why a cell has to be built, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from smforge.errors import SmforgeError
from smforge.plan.records import Cell
from smforge.workflow.building.freshness import Freshness, freshness
from smforge.workflow.building.settings import BuildSettings
from smforge.workflow.farm.stores.store import Store

SCHEMA_VERSION = 1
_WHEN = "%Y-%m-%d %H:%M UTC"


@dataclass(frozen=True, slots=True)
class InStore:
    """What a store has of a cell."""

    store: str
    taken: bool
    """Whether a build would take its result."""
    lines: tuple[str, ...]
    """What it has, and every reason against it, as sentences."""


@dataclass(frozen=True, slots=True)
class Explained:
    """Why a cell would be built, and what stores have of it."""

    cell: Cell
    state: Freshness
    stored: tuple[InStore, ...] = ()


def explain(settings: BuildSettings, cell: Cell, stores: Sequence[Store]) -> Explained:
    """Compare a cell with its last verified result here, and with the nearest in each store."""
    state = freshness(settings, cell)
    stored = tuple(_in_store(settings, cell, state, store) for store in stores)
    return Explained(cell, state, stored)


def _in_store(settings: BuildSettings, cell: Cell, state: Freshness, store: Store) -> InStore:
    try:
        nearest = store.nearest(settings, cell, state.inputs)
    except SmforgeError as error:
        return InStore(store.name, taken=False, lines=(f"{store.name} is not read: {error}",))
    if nearest is None:
        return InStore(store.name, taken=False, lines=(f"{store.name} has no result of it.",))
    when = nearest.record.finished.strftime(_WHEN)
    if not nearest.reasons:
        line = f"{store.name} has a result of these inputs, of {when}, which --reuse takes."
        return InStore(store.name, taken=True, lines=(line,))
    first = f"The nearest result in {store.name} is of {when}, and it is not taken:"
    return InStore(store.name, taken=False, lines=(first, *nearest.reasons))


def explained_text(found: Sequence[Explained]) -> str:
    """A block for each cell: whether it is up to date, and every reason against it."""
    blocks = []
    for one in found:
        cell, state = one.cell, one.state
        name = f"{cell.variant} {cell.platform}"
        since = ""
        if state.former is not None:
            when = state.former.finished.strftime(_WHEN)
            since = f", last verified result of {when}"
        if state.up_to_date:
            blocks.append(f"{name}: up to date{since}")
        else:
            reasons = "\n".join(f"  {reason}" for reason in state.reasons)
            verb = "would be taken" if any(own.taken for own in one.stored) else "would be built"
            blocks.append(f"{name}: {verb}{since}\n{reasons}")
            for first, *others in (own.lines for own in one.stored):
                blocks += [f"  {first}", *(f"    {reason}" for reason in others)]
    return "\n".join(blocks) + "\n"


def explained_document(found: Sequence[Explained]) -> dict[str, Any]:
    """The same as plain data, with the digest of every input then and now."""
    return {
        "schema_version": SCHEMA_VERSION,
        "cells": [
            {
                "cell": one.cell.name,
                "variant": one.cell.variant,
                "platform": one.cell.platform,
                "up_to_date": one.state.up_to_date,
                "reasons": list(one.state.reasons),
                "inputs": dict(one.state.inputs),
                "inputs_before": None if one.state.former is None else one.state.former.inputs,
                "stores": [
                    {"store": own.store, "taken": own.taken, "lines": list(own.lines)}
                    for own in one.stored
                ],
            }
            for one in found
        ],
    }
