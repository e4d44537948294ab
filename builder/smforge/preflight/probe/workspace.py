"""Prepares a private place in which real CMake configures real sources without a compiler.

The place holds the copied tree, a build directory that already contains what CMake would have
learnt from running compilers, tools that exist but refuse to run, and empty skeletons of the
external projects that are not there.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from smforge.arch.target import Target

DOWNLOADS = ".deps"
"""The directory below a tree in which vLLM's setup.py keeps external projects."""

PROBE = Path(__file__).parent / "programs"
_DATA = Path(__file__).parent / "data" / "probe.json"

_BELOW_EXTERNAL = re.compile(r"\$\{(?P<name>[\w-]+)_SOURCE_DIR\}/(?P<path>[\w./+-]+)(?=[\s\"');])")
"""A file or directory that a build description names below an external project."""
_TORCH_HEADER = re.compile(r"[\"/](?P<path>torch/[\w./-]+\.h)\b")
"""A header of torch that a build description looks into."""
_OWN_VARIABLES = frozenset({"cmake", "cmake_current", "project"})
_REFUSING_TOOL = "#!/bin/sh\necho 'smforge preflight: nothing is compiled here' >&2\nexit 1\n"


@dataclass(frozen=True, slots=True)
class Workspace:
    """The places of one configuration, all below one temporary directory."""

    root: Path
    externals: Mapping[str, Path] = field(default_factory=dict)
    """The checkouts of external projects that are there, by name in lower case."""

    @property
    def tree(self) -> Path:
        return self.root / "tree"

    @property
    def build(self) -> Path:
        return self.root / "build"

    @property
    def tools(self) -> Path:
        return self.root / "tools"

    @property
    def libraries(self) -> Path:
        """Empty libraries, for CMake to find."""
        return self.root / "libraries"

    @property
    def torch_headers(self) -> Path:
        """The include directory of torch: empty headers, for build descriptions to read."""
        return self.root / "torch-include"

    @property
    def trace(self) -> Path:
        return self.root / "trace.json"

    @property
    def log(self) -> Path:
        return self.root / "configure.log"

    @property
    def skeletons(self) -> Path:
        """The empty external projects.

        Not where a download goes: build descriptions take what lies there for downloaded.
        """
        return self.root / "externals"

    @property
    def downloads(self) -> Path:
        """Where vLLM's setup.py lets CMake put external projects."""
        return self.tree / DOWNLOADS

    def as_built(self, path: str) -> str:
        """A source's path relative to the tree, as it would be in a real build."""
        file = Path(path)
        if not file.is_absolute():
            return file.as_posix()
        if file.is_relative_to(self.skeletons):
            name, *rest = file.relative_to(self.skeletons).parts
            return Path(DOWNLOADS, f"{name}-src", *rest).as_posix()
        for name, checkout in self.externals.items():
            if file.is_relative_to(checkout):
                below = file.relative_to(checkout)
                return Path(DOWNLOADS, f"{name}-src", below).as_posix()
        return (file.relative_to(self.tree) if file.is_relative_to(self.tree) else file).as_posix()


def prepare(workspace: Workspace, *, cmake_version: str, cuda: str, processor: str) -> None:
    """Fill in everything but the tree, which must be there already."""
    _lay_out_tools(workspace.tools)
    _lay_out_libraries(workspace.libraries)
    _preset_compilers(workspace, cmake_version, cuda, processor)
    lay_out_skeletons(workspace)
    query = workspace.build / ".cmake/api/v1/query/client-smforge/query.json"
    query.parent.mkdir(parents=True)
    query.write_text(json.dumps({"requests": [{"kind": "codemodel", "version": 2}]}))


def build_description(tree: Path) -> tuple[Path, ...]:
    """The CMake files of a tree, sorted."""
    patterns = _table()["build_description"]["patterns"]
    return tuple(sorted({file for pattern in patterns for file in tree.glob(pattern)}))


def torch_release(tree: Path) -> str | None:
    """The release of torch that the sources are built with, where they say so."""
    text = (tree / "CMakeLists.txt").read_text(encoding="utf-8", errors="replace")
    match = re.search(_table()["torch_release"]["pattern"], text)
    return match.group(1) if match else None


def compiler_version(cuda: str) -> str:
    """The version that nvcc of a release reports: 13.0.88 for 13.0; an update stays as it is."""
    return str(_table()["cuda_update"].get(cuda, cuda if cuda.count(".") > 1 else f"{cuda}.0"))


def nvcc_default(cuda: str) -> Target:
    """What nvcc compiles for, as machine code and as PTX, where no option says it."""
    rows = _table()["nvcc_default"]["rows"]
    return Target.parse(rows[cuda.partition(".")[0]])


def _lay_out_tools(tools: Path) -> None:
    tools.mkdir()
    names = (row["tool"] for row in _table()["languages"])
    for name in (*names, "ar", "ranlib", "ld"):
        (tools / name).write_text(_REFUSING_TOOL)
        (tools / name).chmod(0o755)


def _lay_out_libraries(libraries: Path) -> None:
    libraries.mkdir()
    for name in _table()["libraries"]["names"]:
        (libraries / f"lib{name}.so").touch()


def _preset_compilers(workspace: Workspace, cmake_version: str, cuda: str, processor: str) -> None:
    info = workspace.build / "CMakeFiles" / cmake_version
    info.mkdir(parents=True)
    system = (PROBE / "compilers" / "CMakeSystem.cmake.in").read_text()
    (info / "CMakeSystem.cmake").write_text(_fill(system, {"processor": processor}))
    template = (PROBE / "compilers" / "CMakeLANGCompiler.cmake.in").read_text()
    host = _table()["host_compiler"]["version"]
    for row in _table()["languages"]:
        is_cuda = row["lang"] == "CUDA"
        values = {
            "lang": row["lang"],
            "compiler": str(workspace.tools / row["tool"]),
            "id": row["id"],
            "version": compiler_version(cuda) if is_cuda else host,
            "variable": row["variable"],
            "extensions": row["extensions"],
            "preference": str(row["preference"]),
            "features": ";".join(row["prefix"] + one for one in row["standards"]),
            "tools": str(workspace.tools),
            "host": host,
            "more": "\n".join(
                f"set(CMAKE_{row['lang']}{one}_COMPILE_FEATURES {row['prefix']}{one})"
                for one in row["standards"]
            ),
        }
        (info / f"CMake{row['lang']}Compiler.cmake").write_text(_fill(template, values))


def lay_out_skeletons(workspace: Workspace) -> None:
    """Create, empty, every file that the build description names below torch and other projects.

    CMake wants a source that it compiles and a file that it reads to exist. A project whose own
    description decides something for the tree has a stand-in for that description
    (programs/externals).
    """
    shutil.copytree(PROBE / "externals", workspace.skeletons)
    for description in build_description(workspace.tree):
        text = description.read_text(encoding="utf-8", errors="replace")
        for match in _TORCH_HEADER.finditer(text):
            header = workspace.torch_headers / match["path"]
            header.parent.mkdir(parents=True, exist_ok=True)
            header.touch()
        for match in _BELOW_EXTERNAL.finditer(text):
            name, path = match["name"].lower(), match["path"]
            if name in _OWN_VARIABLES or ".." in Path(path).parts:
                continue
            place = workspace.skeletons / name / path
            if Path(path).suffix:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.touch()
            else:
                place.mkdir(parents=True, exist_ok=True)


def _fill(template: str, values: Mapping[str, str]) -> str:
    for key, value in values.items():
        template = template.replace(f"@{key}@", value)
    return template


@cache
def _table() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(_DATA.read_text(encoding="utf-8"))
    return content
