"""Code of which a program loads one itself: cubins, PTX texts and fatbins that nothing registers.

A program that loads code through the driver API chooses it: a file per target in one folder, or a
fatbin per toolkit among the data of one library, tried in order. Such code is judged per kernel
name: a kernel that does not run on a device where it stands is not missing there if code beside it
has a kernel of the same name that runs. That the program loads the right one is taken for granted,
and the audit says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from smforge.inventory.linked import counted_regions
from smforge.inventory.records import FileInventory, Origin, Region
from smforge.verdict.kernels import AlternativesOf, Embedded, region_groups

Scope = tuple[str, bool]
"""Where a program chooses: a folder (True) or a file, by path."""

_TARGET = re.compile(r"(?:sm|compute|arch)[-_]?\d{2,3}[af]?\Z", re.IGNORECASE)
"""The name of a folder that holds the code for one target: ``sm_90a``."""


def alternatives_among(files: Iterable[FileInventory]) -> AlternativesOf:
    """Find the kernels of which a program can choose among several, over all `files`."""
    scopes: dict[Scope, dict[str, set[Embedded]]] = {}
    for file in files:
        for region in counted_regions(file):
            scope = _scope(file, region)
            if scope is None or any(code.kernels is None for code in region.objects):
                continue
            held = scopes.setdefault(scope, {})
            for embedded, names in region_groups(region):
                for name in names:
                    held.setdefault(name, set()).add(embedded)
    several = {
        scope: {name: frozenset(codes) for name, codes in held.items() if len(codes) > 1}
        for scope, held in scopes.items()
    }

    def of(file: FileInventory, region: Region) -> Mapping[str, frozenset[Embedded]]:
        scope = _scope(file, region)
        return {} if scope is None else several.get(scope, {})

    return of


def _scope(file: FileInventory, region: Region) -> Scope | None:
    """Where a program chooses the region from; None where the runtime registers it."""
    if region.origin is Origin.RAW and not region.member:
        return _folder(file.path), True
    loaded = region.origin in {Origin.RAW, Origin.DATA} or region.loaded_by_program
    return (file.path, False) if loaded else None


def _folder(path: str) -> str:
    """The folder of a file; folders that are named after targets count as one."""
    *folders, _ = path.split("/")
    return "/".join("*" if _TARGET.match(one) else one for one in folders)
