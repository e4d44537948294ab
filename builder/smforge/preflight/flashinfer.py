"""FlashInfer: its own generators of ahead-of-time modules, run without compiling anything."""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import replace
from typing import Any

from smforge.arch.grammar import flashinfer_list, gencode
from smforge.arch.grammar.names import CodeForm
from smforge.arch.grammar.torch_list import TorchEntry
from smforge.arch.toolkits import toolkit
from smforge.errors import ArchitectureError, ToolError
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


def read_list(text: str, cuda: str) -> tuple[TorchEntry, ...]:
    """FLASHINFER_CUDA_ARCH_LIST with the suffixes that FlashInfer gives plain elements."""
    targets = flashinfer_list.effective_targets(flashinfer_list.parse(text), cuda)
    return tuple(TorchEntry(target) for target in targets)


def launch(request: Request, workspace: Workspace, cache: Cache) -> Launch:
    """Prepare a workspace whose tree is a copy of the sources."""
    del cache  # the sources are in it already; the generators keep nothing
    release = toolkit(request.cuda)
    cuda_home = workspace.root / "cuda"
    nvcc = cuda_home / "bin" / "nvcc"
    nvcc.parent.mkdir(parents=True)
    archs = " ".join(sorted({f"compute_{one.capability.number}" for one in release.targets}))
    nvcc.write_text(
        _NVCC.format(release=release.version, version=compiler_version(request.cuda), archs=archs)
    )
    nvcc.chmod(0o755)
    environment = {
        "PATH": f"{nvcc.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "HOME": str(workspace.root),
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "CUDA_HOME": str(cuda_home),
        "CUDA_PATH": str(cuda_home),
        "FLASHINFER_WORKSPACE_BASE": str(workspace.root),
        "FLASHINFER_CUDA_ARCH_LIST": request.list,
        "SMFORGE_TORCH_VERSION": torch_flags.assumed_release(),
        "SMFORGE_CUDA_RELEASE": release.version,
        "SMFORGE_PROCESSOR": request.processor,
    }
    script = PROBE / "flashinfer_specs.py"
    places = (workspace.tree, workspace.build, workspace.trace)
    return Launch((sys.executable, str(script), *map(str, places)), environment)


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
    if missing := _MISSING_MODULE.search(log):
        raise ToolError(
            f"FlashInfer's generators import {missing['name']}, which is not stood in for.",
            remedy="Report it with the version of FlashInfer.",
        )
    if refused := _REFUSAL.search(log):
        return Refusal(refused["text"], None, by="sources")
    last = (log.strip().splitlines() or ["they said nothing"])[-1]
    raise ToolError(
        f"FlashInfer's generators failed: {last}",
        remedy="Report it with the version of FlashInfer.",
    )
