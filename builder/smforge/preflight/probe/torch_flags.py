"""The ``-gencode`` flags that torch's CMake package makes of TORCH_CUDA_ARCH_LIST.

vLLM's CMake takes its list from these flags, not from the variable, so a preflight needs the same
flags in the same order. Releases differ in what they accept (data/torch.json); names of
generations are refused here, because torch's CMake package and its cpp_extension give them
different meanings.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from smforge.arch.grammar import torch_list
from smforge.arch.grammar.gencode import Gencode
from smforge.arch.grammar.names import CodeForm, CodeName
from smforge.arch.grammar.torch_list import TorchEntry
from smforge.errors import ArchitectureError

_DATA = Path(__file__).parent / "data" / "torch.json"
_SEPARATORS = re.compile(r"[ \t;]+")


def parse(text: str) -> tuple[TorchEntry, ...]:
    """Read a list as torch's CMake package splits it: at blanks and semicolons, without repeats.

    Raises `ArchitectureError` for names and for what no release of torch reads.
    """
    entries: list[TorchEntry] = []
    for word in _SEPARATORS.split(text.strip(" \t;")):
        if word[:1].isalpha():
            raise ArchitectureError(
                f"{word!r} means different lists in different parts of torch.",
                remedy="Write the architectures as numbers: 9.0 12.0.",
            )
        entries.extend(torch_list.parse(word))
    return tuple(dict.fromkeys(entries))


def refusal(entries: tuple[TorchEntry, ...], torch: str) -> str | None:
    """The sentence with which one release of torch stops a build, or None where it reads all."""
    suffixes = _suffixes(torch)
    for entry in entries:
        if entry.target.suffix.value not in ("", *suffixes):
            known = " and ".join(suffixes)
            return (
                f"torch {torch}, which these sources ask for, does not know the architecture "
                f"{entry}: its CMake package takes no suffix but {known}."
            )
    return None


def gencode_flags(entries: tuple[TorchEntry, ...]) -> tuple[Gencode, ...]:
    """What torch makes of a list that it reads: all machine code first, then all PTX."""
    binaries = dict.fromkeys(entry.target for entry in entries)
    texts = dict.fromkeys(entry.target for entry in entries if entry.ptx)
    return (
        *(Gencode(target, (CodeName(CodeForm.CUBIN, target),)) for target in binaries),
        *(Gencode(target, (CodeName(CodeForm.PTX, target),)) for target in texts),
    )


def assumed_release() -> str:
    """The release for sources that name none."""
    return str(_table()["assumed"]["release"])


@cache
def _suffixes(torch: str) -> str:
    try:
        version = Version(torch)
    except InvalidVersion:
        version = Version(assumed_release())
    rows = _table()["readings"]
    for row in rows:
        if version >= Version(row["from"]):
            return str(row["suffixes"])
    return str(rows[-1]["suffixes"])


@cache
def _table() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(_DATA.read_text(encoding="utf-8"))
    return content
