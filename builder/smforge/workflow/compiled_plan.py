"""A plan with the targets that the sources really compile for its arch lists."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from smforge.bake.host.settings import HostSettings
from smforge.plan.records import Plan
from smforge.preflight.cache import Cache, default_directory
from smforge.preflight.cell import Circumstances, examinable, preflight_cell, with_collapses
from smforge.sigterm import ended_tidily


def as_compiled(plan: Plan, root: Path, host: HostSettings) -> Plan:
    """The plan with the targets that its sources compile as others; `root` is the checkout.

    From the cache, else it takes a few seconds per component. Raises what `preflight_cell` raises.
    """
    circumstances = Circumstances(root, Cache(default_directory()), host.checkouts)
    with ended_tidily():
        cells = tuple(
            with_collapses(preflight_cell(cell, examinable(cell), circumstances))
            for cell in plan.cells
        )
    return replace(plan, cells=cells)
