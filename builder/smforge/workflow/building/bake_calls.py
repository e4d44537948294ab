"""The bake call of a cell: for the engine that builds it, or only to be shown."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path

from smforge.bake.cell_call import Stores, bake_call
from smforge.bake.command import BakeCall
from smforge.bake.definition import Definition, resolve_definition
from smforge.bake.host.crossing import crossing_for, host_platform
from smforge.bake.host.engine import Means
from smforge.bake.host.job_limits import JobLimits, gib_per_job, job_limits
from smforge.plan.records import Cell
from smforge.workflow.building.settings import BuildSettings


def call_for(settings: BuildSettings, cell: Cell, means: Means) -> BakeCall:
    """The bake call of a cell for a builder with these means."""
    limits = job_limits(means.cores, means.memory_bytes, gib_per_job(cell))
    if settings.jobs is not None:
        limits = JobLimits(settings.jobs, 1)
    stores = Stores(settings.rootfs_store, settings.sources_store, settings.published_store)
    crossing = crossing_for(cell, means.native)
    paths = settings.paths(cell)
    return bake_call(cell, settings.host, limits, paths, settings.matrix, stores, crossing)


def resolve_call(settings: BuildSettings, cell: Cell) -> tuple[BakeCall, Definition]:
    """The exact call and what bake makes of it, for an engine with the means of this host.

    No engine is asked and nothing is left behind: bake reads the override from a temporary folder,
    and the file that the call names appears when a build writes it. Raises what
    `resolve_definition` raises.
    """
    pages, page = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    means = Means(os.cpu_count() or 1, pages * page, (host_platform(),))
    call = call_for(settings, cell, means)
    with tempfile.TemporaryDirectory(prefix="smforge-print-") as folder:
        override = Path(folder) / call.override.name
        override.write_text(call.override_text, encoding="utf-8")
        return call, resolve_definition(replace(call, override=override))
