"""Which files share a row of the page.

A library has a row of its own. Loose cubins, of which a package can hold sixteen thousand, have
one row per folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from posixpath import dirname

from builder.arch.target import ComputeCapability
from builder.inventory.records import Origin
from builder.verdict.records import FileVerdict
from builder.verdict.terms import Terms
from builder.verdict.views import DeviceView, view_file

_FEW = 12
"""Loose cubins that a folder may hold before they are folded."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """The files of one row, seen from every device."""

    path: str
    files: tuple[FileVerdict, ...]
    views: Mapping[ComputeCapability, tuple[DeviceView, ...]]


def shelves(
    files: Sequence[FileVerdict],
    devices: tuple[ComputeCapability, ...],
    terms: Terms,
    *,
    below: str = "",
) -> tuple[Shelf, ...]:
    """Put the files on shelves, in the order of the first of each.

    Where several subjects share a page, `below` is the one in whose name the paths stand.
    """
    placed: dict[str, list[FileVerdict]] = {}
    folders = _crowded(files)
    for file in files:
        folder = f"{dirname(file.file.path)}/"
        key = folder if _loose(file) and folder in folders else file.file.path
        placed.setdefault(key, []).append(file)
    prefix = f"{below}/" if below else ""
    return tuple(
        _shelf(prefix + path, tuple(held), devices, terms) for path, held in placed.items()
    )


def _shelf(
    path: str,
    files: tuple[FileVerdict, ...],
    devices: tuple[ComputeCapability, ...],
    terms: Terms,
) -> Shelf:
    seen = [view_file(file.file, devices, terms) for file in files]
    return Shelf(path, files, {one: tuple(view.devices[one] for view in seen) for one in devices})


def _crowded(files: Sequence[FileVerdict]) -> frozenset[str]:
    held: dict[str, int] = {}
    for file in files:
        if _loose(file):
            folder = f"{dirname(file.file.path)}/"
            held[folder] = held.get(folder, 0) + 1
    return frozenset(folder for folder, number in held.items() if number > _FEW)


def _loose(file: FileVerdict) -> bool:
    return all(region.origin is Origin.RAW for region in file.file.regions)
