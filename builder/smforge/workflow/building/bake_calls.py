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
from smforge.bake.host.engine import Engine
from smforge.bake.host.job_limits import JobLimits, gib_per_job, job_limits, weighed_limits
from smforge.bake.host.node_means import Means
from smforge.plan.records import Cell
from smforge.workflow.building.settings import BuildSettings


def call_for(settings: BuildSettings, cell: Cell, means: Means) -> BakeCall:
    """The bake call of a cell for a builder with these means."""
    limits = _limits(settings, cell, means)
    stores = Stores(settings.rootfs_store, settings.sources_store, settings.published_store)
    crossing = crossing_for(cell, means.native)
    paths = settings.paths(cell)
    return bake_call(
        cell, settings.host, limits, paths, settings.matrix, stores, crossing, settings.builder
    )


def say_what_is_not_known(
    settings: BuildSettings, cell: Cell, engine: Engine, means: Means
) -> None:
    """Tell before a compilation that it will have one job only, and which flags say more."""
    compiles = any(one.archs for one in cell.components)
    if settings.jobs is not None or stated_means(settings, means).known or not compiles:
        return
    unknown = [
        what
        for what, value in (("cores", means.cores), ("memory", means.memory_bytes))
        if value is None
    ]
    settings.messages.announce(
        f"the builder {engine.builder} ({engine.driver}) does not say the {' and '.join(unknown)} "
        f"of its node, so {cell.variant} {cell.platform} is compiled with one job at once: say it "
        "with --cores N and --memory GIB, or choose --jobs N"
    )


def stated_means(settings: BuildSettings, means: Means) -> Means:
    """The means of a node, where other cores or memory are not stated for it."""
    return replace(
        means,
        cores=settings.cores or means.cores,
        memory_bytes=settings.memory_bytes or means.memory_bytes,
        memory_hidden=means.memory_hidden or settings.memory_bytes is not None,
    )


def _limits(settings: BuildSettings, cell: Cell, means: Means) -> JobLimits:
    """What was stated, else what the node's means allow; one job where these are not known."""
    if settings.jobs is not None:
        return JobLimits(settings.jobs, 1)
    found = stated_means(settings, means)
    if found.cores is None or found.memory_bytes is None:
        return JobLimits(1, 1)
    limits = job_limits if found.memory_hidden else weighed_limits
    return limits(found.cores, found.memory_bytes, gib_per_job(cell))


def resolve_call(settings: BuildSettings, cell: Cell) -> tuple[BakeCall, Definition]:
    """The exact call and what bake makes of it, for an engine with the means of this host.

    Where a builder is named, nothing is known of its node, and there is one compiler job.
    No engine is asked and nothing is left behind: bake reads the override from a temporary folder,
    and the file that the call names appears when a build writes it. Raises what
    `resolve_definition` raises.
    """
    pages, page = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    native = (host_platform(),)
    means = Means(os.cpu_count() or 1, pages * page, native)
    if settings.builder is not None:
        means = Means(None, None, native)
    call = call_for(settings, cell, means)
    with tempfile.TemporaryDirectory(prefix="smforge-print-") as folder:
        override = Path(folder) / call.override.name
        override.write_text(call.override_text, encoding="utf-8")
        return call, resolve_definition(replace(call, override=override))
