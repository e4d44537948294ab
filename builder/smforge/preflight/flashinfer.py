"""FlashInfer: runs its own generators of ahead-of-time modules, without compiling anything."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from smforge.arch.grammar import flashinfer_list, gencode
from smforge.arch.grammar.names import CodeForm
from smforge.arch.grammar.torch_list import TorchEntry
from smforge.arch.target import Target
from smforge.arch.toolkits import toolkit
from smforge.errors import ArchitectureError, ToolError, UsageError
from smforge.extras import require_build_extra
from smforge.preflight.cache import Cache
from smforge.preflight.probe import torch_flags
from smforge.preflight.probe.workspace import PROBE, Workspace, compiler_version
from smforge.preflight.records import Configuration, Refusal, Unit
from smforge.preflight.request import Launch, Request

_MISSING_MODULE = re.compile(r"ModuleNotFoundError: No module named '(?P<name>[\w.]+)'")
_REFUSAL = re.compile(r"^RuntimeError: (?P<text>.+)$", re.MULTILINE)

_NVCC = """#!/bin/sh
# Answers FlashInfer's questions about the compiler. Where it builds and runs a helper, the helper
# says nothing; its output goes into a header that decides no architecture.
while [ $# -gt 0 ]; do
  case "$1" in
    --version) echo "Cuda compilation tools, release {release}, V{version}"; exit 0 ;;
    --list-gpu-arch) printf '%s\\n' {archs}; exit 0 ;;
    -o) printf '#!/bin/sh\\n' > "$2"; chmod +x "$2"; exit 0 ;;
  esac
  shift
done
exit 1
"""


def read_list(text: str, cuda: str, tree: Path, cache: Cache) -> tuple[TorchEntry, ...]:
    """FLASHINFER_CUDA_ARCH_LIST as the sources in `tree` read it.

    Releases differ in the suffix that they give to an element without one, and in what they
    refuse, so the sources' own code reads the list. An element that they refuse stays as it is
    written: the configuration then ends with their refusal. Raises `ArchitectureError` for what
    no release reads and `ToolError` where their code fails.
    """
    words = [str(target) for target in flashinfer_list.parse(text)]
    context = tree / "flashinfer" / "compilation_context.py"
    cpp_ext = tree / "flashinfer" / "jit" / "cpp_ext.py"
    code = "".join(file.read_text(encoding="utf-8") for file in (context, cpp_ext))
    readings = cache.remembered(
        "flashinfer-lists", (code, cuda, *words), lambda: _readings(words, cuda, tree)
    )
    return tuple(TorchEntry(target) for target in dict.fromkeys(_targets(words, readings)))


def _targets(words: list[str], readings: dict[str, Any]) -> Iterator[Target]:
    for word in words:
        for text in readings[word].get("targets", (word,)):
            yield Target.parse(text)


def _readings(words: list[str], cuda: str, tree: Path) -> dict[str, Any]:
    """The target of each element, by the sources' own code (programs/flashinfer_archs.py)."""
    _require_modules()
    with tempfile.TemporaryDirectory(prefix="smforge-preflight-") as name:
        work = Path(name).resolve()
        output = work / "archs.json"
        script = PROBE / "flashinfer_archs.py"
        done = subprocess.run(
            (sys.executable, str(script), str(tree.resolve()), str(output)),
            env=_environment(work, cuda, " ".join(words)),
            cwd=work,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode != 0:
            raise _failure(done.stdout)
        found: dict[str, Any] = json.loads(output.read_text(encoding="utf-8"))
        return found


def launch(request: Request, workspace: Workspace, cache: Cache) -> Launch:
    """Prepare a workspace whose tree is a copy of the sources.

    Raises `UsageError` for a release that lists its modules in another way.
    """
    del cache  # the sources are in it already; the generators keep nothing
    _require_generators(workspace.tree)
    _require_modules()
    environment = _environment(workspace.root, request.cuda, request.list)
    environment["SMFORGE_PROCESSOR"] = request.processor
    script = PROBE / "flashinfer_specs.py"
    places = (workspace.tree, workspace.build, workspace.trace)
    return Launch((sys.executable, str(script), *map(str, places)), environment)


def _require_modules() -> None:
    require_build_extra("Preflight of FlashInfer", "jinja2")


def _require_generators(tree: Path) -> None:
    text = (tree / "flashinfer" / "aot.py").read_text(encoding="utf-8", errors="replace")
    if "def compile_and_package_modules(" not in text:
        raise UsageError(
            "These sources of FlashInfer have no function compile_and_package_modules, which "
            "lists the modules of a build; FlashInfer has it from 0.4.0 on.",
            remedy="Name the sources of FlashInfer 0.4.0 or newer.",
        )


def _environment(work: Path, cuda: str, archs: str) -> dict[str, str]:
    """The environment of FlashInfer's own code, with a compiler that only says its version."""
    release = toolkit(cuda)
    cuda_home = work / "cuda"
    nvcc = cuda_home / "bin" / "nvcc"
    nvcc.parent.mkdir(parents=True)
    known = " ".join(sorted({f"compute_{one.capability.number}" for one in release.targets}))
    nvcc.write_text(
        _NVCC.format(release=release.version, version=compiler_version(cuda), archs=known)
    )
    nvcc.chmod(0o755)
    return {
        "PATH": f"{nvcc.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "HOME": str(work),
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "CUDA_HOME": str(cuda_home),
        "CUDA_PATH": str(cuda_home),
        "FLASHINFER_WORKSPACE_BASE": str(work),
        "FLASHINFER_CUDA_ARCH_LIST": archs,
        "SMFORGE_TORCH_VERSION": torch_flags.assumed_release(),
        "SMFORGE_CUDA_RELEASE": release.version,
    }


def result(request: Request, workspace: Workspace, code: int | None) -> Configuration:
    """The modules that FlashInfer would compile, one unit per CUDA source of each."""
    torch = torch_flags.assumed_release()
    empty = Configuration(request.list, request.cuda, torch, (), (), ())
    if code != 0:
        return replace(empty, refusal=_refusal(workspace))
    modules = json.loads(workspace.trace.read_text(encoding="utf-8"))
    units = [_unit(module["name"], source) for module in modules for source in module["sources"]]
    return replace(
        empty, units=tuple(sorted(units, key=lambda unit: (unit.extension, unit.source)))
    )


def _unit(module: str, source: dict[str, Any]) -> Unit:
    try:
        passes = gencode.parse(source["flags"])
    except ArchitectureError as error:
        raise ToolError(f"FlashInfer's flags for {module} cannot be read: {error}") from error
    names = [code for one in passes for code in one.codes]
    return Unit(
        extension=module,
        source=source["path"],
        gencode=tuple(str(one) for one in passes),
        targets=tuple(sorted({one.target for one in names if one.form is CodeForm.CUBIN})),
        ptx=tuple(sorted({one.target for one in names if one.form is CodeForm.PTX})),
        module=module,
    )


def _refusal(workspace: Workspace) -> Refusal:
    """FlashInfer's own refusal of a list; any other failure is an error of this run."""
    log = workspace.log.read_text(encoding="utf-8", errors="replace")
    if not _MISSING_MODULE.search(log) and (refused := _REFUSAL.search(log)):
        return Refusal(refused["text"], None, by="sources")
    raise _failure(log)


def _failure(log: str) -> ToolError:
    """The error of a run of FlashInfer's own code that failed."""
    if missing := _MISSING_MODULE.search(log):
        return ToolError(
            f"FlashInfer's own code imports {missing['name']}, which is not stood in for.",
            remedy="Report it with the version of FlashInfer.",
        )
    last = (log.strip().splitlines() or ["it said nothing"])[-1]
    return ToolError(
        f"FlashInfer's own code failed: {last}", remedy="Report it with the version of FlashInfer."
    )
