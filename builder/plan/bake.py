"""The seam to docker-bake.hcl: which targets build a cell, and what their variables say."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from builder.matrix.models import Document, Source
from builder.plan.records import Cell, Dropped, PlannedComponent

_DATA = Path(__file__).parent / "data" / "bake_targets.json"


def targets_for(components: Sequence[PlannedComponent]) -> tuple[str, ...]:
    """The targets to build, the base first."""
    names = list(_table()["base"])
    for component in components:
        for pattern in _patterns(component):
            names += _expand(pattern, component)
    return tuple(dict.fromkeys(names))


def without_target(components: Sequence[PlannedComponent]) -> Iterator[Dropped]:
    """The components that docker-bake.hcl cannot build."""
    for component in components:
        if not _patterns(component):
            yield Dropped(component.name, "docker-bake.hcl has no target for it: it is not built")


def variables_for(document: Document, cell: Cell) -> dict[str, str]:
    """The variables of docker-bake.hcl. A component that the cell lacks has an empty list."""
    source = document.sources.flashinfer
    flashinfer = cell.component("flashinfer")
    return {
        "VARIANT": cell.variant,
        "CUDA_VERSION": cell.toolkit.cuda,
        "CUDA_TAG": cell.toolkit.tag,
        "PLATFORM": cell.platform,
        "BASE_KIND": cell.base.kind,
        "BASE_IMAGE": cell.base.image or "",
        "DEBIAN_SUITE": cell.base.suite or "",
        "CUDA_PACKAGES": " ".join(cell.base.packages),
        "TORCH_VERSION": cell.toolkit.torch,
        "FLASHINFER_VERSION": source.version,
        "FLASHINFER_SHA256": sdist_sha256(source) or "",
        "FLASHINFER_ARCHS": _listed(flashinfer),
        "FLASHINFER_SELECTION": flashinfer.settings["selection"] if flashinfer else "",
        "SOURCE_DATE_EPOCH": str(document.source_date_epoch),
    }


def sdist_sha256(source: Source) -> str | None:
    """The digest of a release's source archive, or None when only wheels are listed."""
    return next((sha for name, sha in source.files.items() if name.endswith(".tar.gz")), None)


def _listed(component: PlannedComponent | None) -> str:
    return " ".join(str(target) for target in component.targets) if component else ""


def _expand(pattern: str, component: PlannedComponent) -> list[str]:
    if "{sm}" not in pattern:
        return [pattern]
    return [pattern.format(sm=target.sm.replace("_", "")) for target in component.targets]


def _patterns(component: PlannedComponent) -> list[str]:
    patterns: list[str] = _table()["components"].get(component.name, [])
    return patterns


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(_DATA.read_text(encoding="utf-8"))
    return table
