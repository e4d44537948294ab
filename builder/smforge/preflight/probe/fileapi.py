"""Reads CMake's file API: which sources each target compiles, and with which flags.

CMake itself has evaluated every generator expression and source property by then, so these are
the flags of the build. Source of the format: cmake-file-api(7), object kind "codemodel" version 2.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from smforge.arch.grammar import gencode
from smforge.arch.grammar.names import CodeForm
from smforge.arch.target import Target
from smforge.findings import Location
from smforge.preflight.probe.workspace import Workspace, build_description
from smforge.preflight.records import Unit

_CUDA = "CUDA"
_MAKES_LIBRARY = re.compile(
    r"\b(?:define_\w*extension_target|\w*add_library)\s*\(\s*(?P<name>[A-Za-z_][\w-]*)"
)
"""A command of a build description that makes a library, in CMake's or in vLLM's words."""


def read_targets(workspace: Workspace) -> tuple[tuple[Unit, ...], tuple[str, ...]]:
    """The CUDA sources of every target, sorted, and the names of the extensions without any.

    An extension without a CUDA source is a module of host code, or a target that compiles nothing
    here and has files of its own name to install: ``_deep_gemm_C``, ``triton_kernels``. Where the
    description makes a library of that name for other architectures (``_flashmla_C``), such a
    target stands for "not for these", and is no extension. A target with sources of a project that
    is not there is not listed, since its CUDA sources are not known.

    Raises `FileNotFoundError` when CMake has left no reply, which it does only when it completes,
    and `ArchitectureError` for flags that nvcc would refuse.
    """
    reply = workspace.build / ".cmake/api/v1/reply"
    index = max(reply.glob("index-*.json"), default=None)
    if index is None:
        raise FileNotFoundError(f"CMake has left no reply in {reply}")
    codemodel = _json(reply / _codemodel_file(_json(index)))
    libraries = _libraries(workspace)
    units: list[Unit] = []
    host_only: set[str] = set()
    for configuration in codemodel["configurations"]:
        installed = {
            installer["component"]
            for directory in configuration["directories"]
            for installer in _json(reply / directory["jsonFile"]).get("installers", ())
        }
        for named in configuration["targets"]:
            target = _json(reply / named["jsonFile"])
            found = list(_target_units(target, workspace))
            units += found
            known = not any(_is_skeleton(one, workspace) for one in target.get("sources", ()))
            if known and not found and _is_extension(target, installed - libraries):
                host_only.add(target["name"])
    units.sort(key=lambda unit: (unit.extension, unit.source))
    return tuple(units), tuple(sorted(host_only))


def _is_extension(target: dict[str, Any], installed: set[str]) -> bool:
    if target["type"] == "MODULE_LIBRARY":
        return True
    return target["type"] == "UTILITY" and target["name"] in installed


def _is_skeleton(source: dict[str, Any], workspace: Workspace) -> bool:
    return Path(source["path"]).is_relative_to(workspace.skeletons)


def _libraries(workspace: Workspace) -> set[str]:
    """The libraries that the build description makes for some architectures."""
    texts = (
        file.read_text(encoding="utf-8", errors="replace")
        for file in build_description(workspace.tree)
    )
    return {match["name"] for text in texts for match in _MAKES_LIBRARY.finditer(text)}


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
