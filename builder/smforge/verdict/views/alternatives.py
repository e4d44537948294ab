"""Code from which a program chooses: cubins, PTX texts and fatbins that nothing registers.

A program that loads code through the driver API chooses it: a file per target in one folder, or a
fatbin per toolkit among the data of one library, tried in order. Such code is judged per kernel
name: a kernel that does not run on a device is not missing there if
other such code has a kernel of the same name that runs. The audit assumes that the program loads
the right one, and says so.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache

from smforge.arch.devices import devices
from smforge.inventory.records import FileInventory, Origin, Region
from smforge.verdict.kernels import AlternativesOf, Embedded, region_groups

Scope = tuple[str, bool]
"""Where a program chooses: a folder (True) or a file, by path."""

_TARGET = re.compile(r"(?:sm|compute|arch)[-_]?\d{2,3}[af]?\Z", re.IGNORECASE)
_TOOLKIT = re.compile(r"(?:cuda|cu)[-_]?\d{1,3}(?:[._]\d+)*\Z", re.IGNORECASE)


def alternatives_among(files: Iterable[FileInventory]) -> AlternativesOf:
    """Find the kernels of which a program can choose among several, over all `files`."""
    regions: dict[Scope, list[Region]] = {}
    for file in files:
        for region in file.counted_regions:
            scope = _scope(file, region)
            if scope is not None and all(code.kernels is not None for code in region.objects):
                regions.setdefault(scope, []).append(region)
    several = {
        scope: found
        for scope, held in regions.items()
        if len(held) > 1 and (found := _embedded_several_ways(held))
    }

    def of(file: FileInventory, region: Region) -> Mapping[str, frozenset[Embedded]]:
        scope = _scope(file, region) if several else None
        return {} if scope is None else several.get(scope, {})

    return of


def _embedded_several_ways(regions: list[Region]) -> dict[str, frozenset[Embedded]]:
    """By name, what kernels that are in more than one of the regions are embedded as."""
    held = Counter(
        name
        for region in regions
        for name in {name for code in region.objects for name in code.kernels or ()}
    )
    # Thousands of cubins in one folder mostly have different kernels.
    shared = {name for name, number in held.items() if number > 1}
    found: dict[str, set[Embedded]] = {}
    for region in regions:
        if any(name in shared for code in region.objects for name in code.kernels or ()):
            for embedded, names in region_groups(region):
                for name in shared.intersection(names):
                    found.setdefault(name, set()).add(embedded)
    return {name: frozenset(codes) for name, codes in found.items() if len(codes) > 1}


def _scope(file: FileInventory, region: Region) -> Scope | None:
    """Where a program chooses the region from; None where the runtime registers it."""
    if region.origin is Origin.RAW and not region.member:
        return _folder(file.path), True
    loaded = region.origin is Origin.RAW or region.loaded_by_program
    return (file.path, False) if loaded else None


def _folder(path: str) -> str:
    """The folder of a file.

    Folders that are named after a target (``sm_90a``), an architecture (``hopper``) or a toolkit
    (``cu128``) hold alternatives, and count as one folder.
    """
    *folders, _ = path.split("/")
    return "/".join("*" if _names_a_choice(one) else one for one in folders)


@lru_cache(maxsize=4096)
def _names_a_choice(folder: str) -> bool:
    if _TARGET.match(folder) or _TOOLKIT.match(folder):
        return True
    return folder.lower() in {one.architecture.lower() for one in devices()}
