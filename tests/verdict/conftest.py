"""Inventories written by hand, where a compiler could not make the case at will."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from smforge.arch.target import Target
from smforge.inventory.records import (
    CodeObject,
    Damage,
    FileInventory,
    Inventory,
    Kind,
    Origin,
    Region,
    Subject,
    SubjectKind,
)

Code = tuple[str, tuple[str, ...] | None]
"""A target name, ``sm_120f`` or ``compute_80``, and the kernels; None: not read."""


def code_object(name: str, kernels: tuple[str, ...] | None) -> CodeObject:
    kind = Kind.PTX if name.startswith("compute") else Kind.CUBIN
    isa = "9.0" if kind is Kind.PTX else None
    name, _, version = name.partition("@")
    return CodeObject(kind, Target.parse(name), 100, version or isa, "13.0", kernels=kernels)


def file_of(
    path: str,
    *regions: tuple[Code, ...],
    origin: Origin = Origin.FATBIN,
    needed: tuple[str, ...] = (),
    damage: tuple[Damage, ...] = (),
) -> FileInventory:
    return FileInventory(
        path,
        1000,
        "0" * 64,
        tuple(
            Region(origin, ".nv_fatbin", index * 64, tuple(code_object(*code) for code in region))
            for index, region in enumerate(regions)
        ),
        needed,
        "x86_64",
        damage,
    )


def inventory_of(*files: FileInventory, damage: tuple[Damage, ...] = ()) -> Inventory:
    subject = Subject(SubjectKind.WHEEL, "thing.whl", "sha256:" + "0" * 64, None)
    return Inventory(subject, files, len(files), damage)


@pytest.fixture(scope="session")
def make_file() -> Callable[..., FileInventory]:
    """``make_file(path, region, …)``, a region being pairs of a target name and its kernels."""
    return file_of


@pytest.fixture(scope="session")
def make_inventory() -> Callable[..., Inventory]:
    """``make_inventory(file, …)``."""
    return inventory_of
