"""The records of the targets of a finished bake call."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smforge.bake.cell_paths import CellPaths
from smforge.bake.compilations import compilations_of
from smforge.bake.progress.state import BuildState, TargetState
from smforge.bake.record import TargetRecord


def target_records(
    state: BuildState,
    paths: CellPaths,
    destinations: Mapping[str, tuple[Path, ...]],
    needs: Mapping[str, tuple[str, ...]],
) -> tuple[TargetRecord, ...]:
    """One record per target that took part.

    `destinations` says where each exports to, `needs` which targets each takes as a context.
    """
    metadata = _metadata(paths.metadata)
    return tuple(
        TargetRecord(
            name=name,
            seconds=round(target.seconds, 3),
            steps=len(target.numbered),
            completed_steps=target.done,
            cached=target.cached,
            started=target.started,
            cached_steps=target.cached_steps,
            needs=needs.get(name, ()),
            node=_node(metadata.get(name)),
            compilations=compilations_of(
                line
                for digest, step in target.steps.items()
                if not any(digest in state.targets[one].steps for one in _there(needs, name, state))
                for line in step.tail
            ),
            image_digest=_digest(metadata.get(name)),
            size=_size(destinations.get(name, ())),
            log=_log(paths, target),
        )
        for name, target in state.targets.items()
    )


def _there(needs: Mapping[str, tuple[str, ...]], name: str, state: BuildState) -> list[str]:
    """What a target needs, of the targets of this call: their steps are its steps too."""
    return [one for one in needs.get(name, ()) if one in state.targets]


def _metadata(path: Path) -> dict[str, Any]:
    """What buildx wrote; nothing after a failure, when it writes no file."""
    try:
        metadata = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return metadata if isinstance(metadata, dict) else {}


def _digest(metadata: Any) -> str | None:
    digest = metadata.get("containerimage.digest") if isinstance(metadata, dict) else None
    return digest if isinstance(digest, str) else None


def _node(metadata: Any) -> str | None:
    """The node of ``buildx.build.ref``, which is BUILDER/NODE/ID."""
    reference = metadata.get("buildx.build.ref") if isinstance(metadata, dict) else None
    parts = reference.split("/") if isinstance(reference, str) else []
    return "/".join(parts[:2]) if len(parts) == 3 else None


def _size(destinations: tuple[Path, ...]) -> int | None:
    """Bytes below the destinations; None where nothing is exported."""
    files = [
        file
        for place in destinations
        for file in ([place] if place.is_file() else place.rglob("*"))
        if file.is_file()
    ]
    return sum(file.stat().st_size for file in files) if files else None


def _log(paths: CellPaths, target: TargetState) -> str | None:
    path = paths.logs / f"{target.name}.log"
    return str(path.relative_to(paths.out)) if path.exists() else None
