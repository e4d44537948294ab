"""The bake call of one cell: the plan's variables, and those that depend on the host."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from smforge.bake.cell_paths import CellPaths
from smforge.bake.command import BakeCall
from smforge.bake.host.compiler_cache import STORE_SETTING
from smforge.bake.host.crossing import Crossing
from smforge.bake.host.job_limits import JobLimits
from smforge.bake.host.layer_caches import entries_of
from smforge.bake.host.settings import CHECKOUT_SETTING, HostSettings
from smforge.bake.inputs.checkout import revision_of
from smforge.bake.inputs.externals import directory_of, externals_of
from smforge.bake.inputs.published import directory_of as published_directory
from smforge.bake.inputs.published import published_of
from smforge.bake.inputs.rootfs import root_file_systems
from smforge.files import cache_folder
from smforge.matrix.place import PACKAGE, build_root
from smforge.plan.records import Cell


@dataclass(frozen=True, slots=True)
class Stores:
    """Where the host keeps what it makes or fetches for builds."""

    rootfs: Path
    sources: Path
    published: Path


def bake_call(  # noqa: PLR0913, PLR0917  # the paths where one call's settings come from
    cell: Cell,
    host: HostSettings,
    limits: JobLimits,
    paths: CellPaths,
    matrix: Path,
    stores: Stores,
    crossing: Crossing | None,
    builder: str | None = None,
) -> BakeCall:
    """The bake call of a cell on this host, everything resolved."""
    root = build_root(matrix)
    variables = {
        **cell.variables,
        **host.bake_variables,
        "OUT_DIR": str(paths.staging),
        "SMFORGE_PACKAGE": str(PACKAGE),
        "REVISION": revision_of(root) or "",
        "MAX_JOBS": str(limits.jobs),
        "NVCC_THREADS": str(limits.nvcc_threads),
        STORE_SETTING: str(host.compile_store or ""),
        "BUILD_PLATFORM": crossing.build_platform if crossing else "",
        "CROSS_CPU": crossing.cpu if crossing else "",
    }
    reads = [PACKAGE, *host.lent]
    for variable, rootfs in root_file_systems(cell, crossing).items():
        directory = stores.rootfs / rootfs.directory_name
        variables[variable] = str(directory)
        reads.append(directory)
    if externals := externals_of(cell):
        directory = directory_of(externals, stores.sources)
        variables["EXTERNALS_DIR"] = str(directory)
        reads.append(directory)
    if published := published_of(cell):
        found = {"PUBLISHED_DIR": published_directory(cell, stores.published)}
        if any(one.published.repair for one in published if one.published):
            found["CUBINS_DIR"] = made_before(cell)
        variables |= {name: str(path) for name, path in found.items()}
        reads += found.values()
    if host.checkout is not None:
        variables[CHECKOUT_SETTING] = str(host.checkout)
        reads.append(host.checkout)
    return BakeCall(
        root=root,
        matrix=matrix.resolve(),
        override=paths.override,
        metadata=paths.metadata,
        targets=cell.targets,
        variables=variables,
        reads=(*reads, *host.caches.folders_read),
        writes=(paths.staging, *host.caches.folders_written),
        caches=host.caches.of_targets(
            entries_of(cell.targets, cell.platform, cell.toolkit.tag, cell.variant)
        ),
        host_network=host.needs_host_network,
        builder=builder,
    )


def made_before(cell: Cell) -> Path:
    """The folder with the machine code that slim and repair made on this host before.

    It has a folder for each target. A cell for one device gets only that device's: all of them are
    gigabytes, which the builder would copy.
    """
    whole = cache_folder("rewrite") / "cubins"
    published = (one.published for one in published_of(cell))
    devices = {device for one in published if one for device in one.keep}
    return whole / f"sm_{devices.pop().number}" if len(devices) == 1 else whole
