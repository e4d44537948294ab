"""Has the assembler that Triton would choose for a device assemble a trivial kernel for it.

Triton itself is asked: which assembler (its variables and fallbacks included), which target, and
which PTX version. The command is the one it runs. Copies of Triton under other names are found by
their files and asked in the same way.
"""

from __future__ import annotations

import importlib
import inspect
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGES = ("triton",)
TOGETHER = False

_COMPILER = "backends/nvidia/compiler.py"
_SECONDS = 60
_CHARACTERS = 2000
_KERNEL = """\
.version {isa}
.target {target}
.address_size 64
.visible .entry probe(.param .u64 place)
{{
    .reg .b64 %address;
    ld.param.u64 %address, [place];
    st.global.u32 [%address], 1;
    ret;
}}
"""


def prepare(devices: list[str]) -> tuple[list[str], dict[str, Any]] | None:
    """``NAME CAPABILITY`` for each Triton and device; None where there is no Triton."""
    names = sorted(
        {
            place.parents[2].name
            for entry in sys.path
            if entry
            for place in Path(entry).glob(f"*/{_COMPILER}")
            if "get_ptxas" in place.read_text(encoding="utf-8", errors="replace")
        }
    )
    if not names:
        return None
    variables = {name: value for name, value in os.environ.items() if "PTXAS" in name}
    return [f"{name} {one}" for name in names for one in devices], {
        "compilers": names,
        "variables": variables,
    }


def examine(item: str, notes: dict[str, Any]) -> None:
    """Fill in what was chosen, what was run and what came of it."""
    name, _, device = item.partition(" ")
    capability = int(device.replace(".", ""))
    notes.update(compiler=name, device=device)
    compiler = importlib.import_module(f"{name}.{_COMPILER[:-3].replace('/', '.')}")
    notes["target"] = compiler.sm_arch_from_capability(capability)
    tool = _ask(compiler.get_ptxas, capability)
    notes.update(path=str(tool.path), release=str(tool.version))
    notes["isa"] = _isa(compiler, str(tool.version))
    _assemble(notes)


def _ask(function: Any, capability: int) -> Any:
    """Call what takes the capability in newer releases and nothing in older ones."""
    return function(capability) if inspect.signature(function).parameters else function()


def _isa(compiler: ModuleType, release: str) -> str:
    version = compiler.ptx_get_version(release)
    return f"{version // 10}.{version % 10}"


def _assemble(notes: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        source, cubin = Path(scratch, "probe.ptx"), Path(scratch, "probe.cubin")
        source.write_text(_KERNEL.format(**notes))
        done = subprocess.run(
            [notes["path"], "-v", f"--gpu-name={notes['target']}", source, "-o", cubin],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
        notes["status"] = done.returncode
        notes["said"] = done.stderr[-_CHARACTERS:]
        notes["cubin_bytes"] = cubin.stat().st_size if cubin.exists() else 0
