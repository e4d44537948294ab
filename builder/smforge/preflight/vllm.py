"""vLLM: runs real CMake on the real build description, and reads what it decided."""

from __future__ import annotations

import json
import os
import platform
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from smforge.errors import ArchitectureError, ToolError
from smforge.extras import from_build_extra, require_build_extra
from smforge.preflight.cache import Cache
from smforge.preflight.probe import torch_flags
from smforge.preflight.probe.fileapi import read_targets
from smforge.preflight.probe.trace import Trace, read_trace
from smforge.preflight.probe.workspace import (
    DOWNLOADS,
    PROBE,
    Workspace,
    build_description,
    nvcc_default,
    prepare,
    torch_release,
)
from smforge.preflight.records import Configuration, External, Refusal, Unit
from smforge.preflight.request import Launch, Request
from smforge.preflight.sources.externals import difference
from smforge.preflight.sources.requirements import read_required

_MISSING_MODULE = re.compile(r"ModuleNotFoundError: No module named '(?P<name>[\w.]+)'")
_CMAKE_ERROR = re.compile(r"^CMake Error.*(?:\n(?:[ \t].*)?)*", re.MULTILINE)
"""An error and the indented and empty lines that belong to it."""


def launch(request: Request, workspace: Workspace, cache: Cache) -> Launch | None:
    """Prepare a workspace that holds the tree; None where torch would stop the build at once."""
    if torch_flags.refusal(request.archs, _torch(workspace)) is not None:
        return None
    command, version = _cmake()
    prepare(workspace, cmake_version=version, cuda=request.cuda, processor=request.processor)
    arguments = (*command, *_arguments(request, workspace, _torch(workspace)))
    return Launch(arguments, _environment(request, workspace, cache))


def result(request: Request, workspace: Workspace, code: int | None) -> Configuration:
    """The decisions of CMake; `code` is its exit status, None if it was not started."""
    torch = _torch(workspace)
    empty = Configuration(request.list, request.cuda, torch, (), (), ())
    if code is None:
        reason = torch_flags.refusal(request.archs, torch) or ""
        return replace(empty, refusal=Refusal(reason, None, by="torch"))
    _raise_for_generator(workspace)
    trace = _trace(workspace)
    if code != 0:
        return replace(empty, skips=trace.skips(), refusal=_refusal(workspace, trace))
    units, host_only = _targets(request, workspace)
    return replace(
        empty,
        units=units,
        skips=trace.skips(),
        not_examined=tuple(_not_examined(trace, request, units)),
        fetched=trace.externals,
        host_only=host_only,
        required=read_required(workspace.tree),
        list_read=trace.list_read,
        choices=trace.choices,
    )


def _torch(workspace: Workspace) -> str:
    return torch_release(workspace.tree) or torch_flags.assumed_release()


def _cmake() -> tuple[list[str], str]:
    # vLLM's generators import the other two.
    require_build_extra("Preflight of vLLM", "jinja2", "regex")
    with from_build_extra("Preflight of vLLM"):
        import cmake  # noqa: PLC0415 - importing it looks for its files
        import ninja  # noqa: PLC0415
    program = Path(cmake.CMAKE_BIN_DIR) / "cmake"
    generator = Path(ninja.BIN_DIR) / "ninja"
    version = re.match(r"\d+\.\d+\.\d+", cmake.__version__)
    if version is None:
        raise ToolError(f"The cmake package has the unreadable version {cmake.__version__!r}.")
    return [str(program), "-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={generator}"], version.group()


def _arguments(request: Request, workspace: Workspace, torch: str) -> list[str]:
    flags = " ".join(f"-gencode {one}" for one in torch_flags.gencode_flags(request.archs))
    python = workspace.tools / "python"
    python.write_text(_PYTHON.format(python=sys.executable, generate=PROBE / "generate.py"))
    python.chmod(0o755)
    definitions = {
        # What vLLM's setup.py passes.
        "VLLM_PYTHON_EXECUTABLE": python,
        "VLLM_PYTHON_PATH": PROBE / "python",
        "VLLM_TARGET_DEVICE": "cuda",
        "CMAKE_BUILD_TYPE": "Release",
        "FETCHCONTENT_BASE_DIR": workspace.downloads,
        # CMake discards a prepared CMakeFiles/<version> directory without this mark.
        "CMAKE_PLATFORM_INFO_INITIALIZED": "1",
        "CMAKE_MODULE_PATH": PROBE / "cmake",
        "CMAKE_LIBRARY_PATH": workspace.libraries,
        "NVCC_EXECUTABLE": workspace.tools / "nvcc",
        "SMFORGE_PROBE": PROBE,
        "SMFORGE_SKELETONS": workspace.skeletons,
        "SMFORGE_PYTHON": python,
        "SMFORGE_PYTHON_VERSION": platform.python_version(),
        "SMFORGE_TORCH_INCLUDE": workspace.torch_headers,
        "SMFORGE_CUDA_VERSION": request.cuda,
        "SMFORGE_TORCH_VERSION": torch,
        "SMFORGE_GENCODE": flags,
    }
    definitions |= {f"SMFORGE_EXTERNAL_{name}": path for name, path in request.externals.items()}
    traced = [f"--trace-source={one}" for one in build_description(workspace.tree)]
    return [
        "-S", str(workspace.tree), "-B", str(workspace.build), "-Wno-author",
        *(f"-D{name}={value}" for name, value in definitions.items()),
        "--trace-expand", "--trace-format=json-v1", f"--trace-redirect={workspace.trace}", *traced,
    ]  # fmt: skip


_PYTHON = """#!/bin/sh
# Generators go through the probe, which remembers what they wrote.
case "$1" in
  *.py) exec '{python}' '{generate}' "$@" ;;
  *) exec '{python}' "$@" ;;
esac
"""


def _environment(request: Request, workspace: Workspace, cache: Cache) -> dict[str, str]:
    """A small environment: the caller's CXXFLAGS, CUDAARCHS and the like must not leak in."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return (
        kept
        | request.variables
        | {
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(PROBE / "python"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "SMFORGE_TORCH_PREFIX": str(PROBE / "torch" / "share" / "cmake"),
            "SMFORGE_TREE": str(workspace.tree),
            "SMFORGE_GENERATOR_CACHE": str(cache.generators),
            "SMFORGE_GENERATOR_FAILURE": str(_failure_file(workspace)),
        }
    )


def _failure_file(workspace: Workspace) -> Path:
    return workspace.root / "generator-failure.json"


def _raise_for_generator(workspace: Workspace) -> None:
    file = _failure_file(workspace)
    if not file.exists():
        return
    failure = json.loads(file.read_text())
    script = failure["script"].removeprefix("<tree>/")
    if missing := _MISSING_MODULE.search(failure["stderr"]):
        raise ToolError(
            f"The sources' generator {script} needs the Python module {missing['name']}.",
            remedy=f"Install it beside smforge: {sys.executable} -m pip install {missing['name']}.",
        )
    last = (failure["stderr"].strip().splitlines() or ["it said nothing"])[-1]
    raise ToolError(f"The sources' generator {script} failed: {last}.")


def _trace(workspace: Workspace) -> Trace:
    if not workspace.trace.exists():
        raise ToolError(f"CMake did not start: {_last_lines(workspace)}")
    try:
        return read_trace(workspace.trace, workspace.tree)
    except (ValueError, KeyError, TypeError) as error:
        raise ToolError(f"CMake's trace cannot be read: {error}") from error


def _refusal(workspace: Workspace, trace: Trace) -> Refusal:
    """The sources' own refusal; any other failure of CMake is an error of this run."""
    if (message := trace.refusal()) is not None:
        return Refusal(message.text, message.location, by="sources")
    log = workspace.log.read_text(encoding="utf-8", errors="replace")
    error = _CMAKE_ERROR.search(log)
    text = " ".join(error.group().split()) if error else _last_lines(workspace)
    raise ToolError(
        f"CMake could not configure the sources: {text.replace(str(workspace.root), '')}",
        remedy="Run with --verbose, or report it with the version of the sources.",
    )


def _last_lines(workspace: Workspace) -> str:
    lines = workspace.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return " ".join(" ".join(lines[-3:]).split()) or "it said nothing."


def _targets(request: Request, workspace: Workspace) -> tuple[tuple[Unit, ...], tuple[str, ...]]:
    """The CUDA sources of every target, and the names of those that have none."""
    default = nvcc_default(request.cuda)
    try:
        units, host_only = read_targets(workspace)
        return tuple(
            unit if unit.gencode else replace(unit, targets=(default,), ptx=(default,))
            for unit in units
        ), host_only
    except (FileNotFoundError, ArchitectureError, ValueError, KeyError) as error:
        raise ToolError(f"CMake's account of the build cannot be read: {error}") from error


def _not_examined(trace: Trace, request: Request, units: Sequence[Unit]) -> Iterator[External]:
    """Projects that are fetched and were not there, or were there at another commit."""
    for external in trace.externals:
        given = request.externals.get(external.name)
        problem = None if given is None else difference(given, external.revision)
        if given is None or problem is not None:
            yield replace(_count_named(external, units), problem=problem)


def _count_named(external: External, units: Sequence[Unit]) -> External:
    below = f"{DOWNLOADS}/{external.name}-src/"
    return replace(external, named_sources=sum(unit.source.startswith(below) for unit in units))
