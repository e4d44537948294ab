"""Reads CMake's file API: which sources each target compiles, and with which flags.

CMake itself has evaluated every generator expression and source property by then, so these are
the flags of the build. Source of the format: cmake-file-api(7), object kind "codemodel" version 2.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from smforge.arch.grammar import gencode
from smforge.arch.grammar.names import CodeForm
from smforge.arch.target import Target
from smforge.findings import Location
from smforge.preflight.probe.workspace import Workspace
from smforge.preflight.records import Unit

_CUDA = "CUDA"


def read_units(workspace: Workspace) -> tuple[Unit, ...]:
    """The CUDA sources of every target, sorted by target and source.

    Raises `FileNotFoundError` when CMake has left no reply, which it does only when it completes,
    and `ArchitectureError` for flags that nvcc would refuse.
    """
    reply = workspace.build / ".cmake/api/v1/reply"
    index = max(reply.glob("index-*.json"), default=None)
    if index is None:
        raise FileNotFoundError(f"CMake has left no reply in {reply}")
    codemodel = _json(reply / _codemodel_file(_json(index)))
    units = [
        unit
        for configuration in codemodel["configurations"]
        for target in configuration["targets"]
        for unit in _target_units(_json(reply / target["jsonFile"]), workspace)
    ]
    return tuple(sorted(units, key=lambda unit: (unit.extension, unit.source)))


def _codemodel_file(index: dict[str, Any]) -> str:
    for one in index["objects"]:
        if one["kind"] == "codemodel":
            return str(one["jsonFile"])
    raise FileNotFoundError("CMake's reply has no codemodel")


def _target_units(target: dict[str, Any], workspace: Workspace) -> Iterator[Unit]:
    for group in target.get("compileGroups", ()):
        if group["language"] != _CUDA:
            continue
        fragments = group.get("compileCommandFragments", ())
        words = [word for one in fragments for word in shlex.split(one["fragment"])]
        passes = gencode.parse(words)
        names = [code for one in passes for code in one.codes]
        location = _location(target.get("backtraceGraph", {}), fragments)
        for position in group["sourceIndexes"]:
            yield Unit(
                extension=target["name"],
                source=workspace.as_built(target["sources"][position]["path"]),
                gencode=tuple(str(one) for one in passes),
                targets=_sorted(one.target for one in names if one.form is CodeForm.CUBIN),
                ptx=_sorted(one.target for one in names if one.form is CodeForm.PTX),
                location=location,
            )


def _location(graph: dict[str, Any], fragments: list[dict[str, Any]]) -> Location | None:
    """The outermost line that added the first ``-gencode``: where the list was chosen.

    Below it are the helper macros that every choice goes through; above it, where the choice is
    in an included file, only the include.
    """
    chosen = (one for one in fragments if "-gencode" in one["fragment"])
    node = next((one["backtrace"] for one in chosen if "backtrace" in one), None)
    if node is None:
        return None
    lines = []
    while node is not None:
        entry = graph["nodes"][node]
        if "line" in entry and graph["commands"][entry["command"]] != "include":
            lines.append(Location(graph["files"][entry["file"]], entry["line"]))
        node = entry.get("parent")
    return lines[-1] if lines else None


def _sorted(targets: Iterator[Target]) -> tuple[Target, ...]:
    return tuple(sorted(set(targets)))


def _json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
