"""TORCH_CUDA_ARCH_LIST: ``8.0 9.0a 12.0+PTX``, separated by single spaces or semicolons.

The grammar is that of torch.utils.cpp_extension; the names it has for generations are data
(data/torch_names.json). Torch's own builds and vLLM's CMake also take the suffix f, which
cpp_extension refuses: `refused_by_cpp_extension` tells which entries those are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from smforge.arch.grammar.gencode import Gencode
from smforge.arch.grammar.names import CodeForm, CodeName
from smforge.arch.tables import table
from smforge.arch.target import Suffix, Target
from smforge.errors import ArchitectureError

_PTX = "+PTX"
_ENTRY = re.compile(r"\d+\.\d[af]?\Z")


@dataclass(frozen=True, slots=True, order=True)
class TorchEntry:
    """One element: machine code for a target, and with ``+PTX`` its PTX too."""

    target: Target
    ptx: bool = False

    def __str__(self) -> str:
        return f"{self.target}{_PTX}" if self.ptx else str(self.target)


def parse(text: str) -> tuple[TorchEntry, ...]:
    """Read a list; names such as ``Hopper`` become what they stand for.

    Order and repetitions are kept. Raises `ArchitectureError` for what torch refuses, an empty
    element between two separators included.
    """
    return tuple(
        _parse_entry(entry) for word in re.split(r"[ ;]", text) for entry in _expand(word, text)
    )


def render(entries: Iterable[TorchEntry], *, separator: str = " ") -> str:
    """The list as torch takes it; CMake wants it with the separator ``;``."""
    return separator.join(str(entry) for entry in entries)


def gencodes(entries: Iterable[TorchEntry]) -> tuple[Gencode, ...]:
    """The nvcc options that torch makes of a list."""
    return tuple(
        Gencode(entry.target, (CodeName(form, entry.target),))
        for entry in entries
        for form in ((CodeForm.CUBIN, CodeForm.PTX) if entry.ptx else (CodeForm.CUBIN,))
    )


def refused_by_cpp_extension(entries: Iterable[TorchEntry]) -> tuple[TorchEntry, ...]:
    """The entries that stop a build with torch's cpp_extension: those with the suffix f."""
    return tuple(one for one in entries if one.target.suffix is Suffix.FAMILY_SPECIFIC)


def _expand(word: str, text: str) -> list[str]:
    if not word:
        raise ArchitectureError(
            f"The arch list {text!r} has an empty element.",
            remedy="Separate elements with one space or one semicolon: 8.0 12.0+PTX.",
        )
    return _names().get(word, [word])


def _parse_entry(word: str) -> TorchEntry:
    number = word.removesuffix(_PTX)
    if not _ENTRY.match(number):
        raise ArchitectureError(
            f"{word!r} is not an element of TORCH_CUDA_ARCH_LIST.",
            remedy=f"Write it as 12.0, 12.0a or 12.0+PTX, or use a name: {', '.join(_names())}.",
        )
    return TorchEntry(Target.parse(number), ptx=number != word)


@cache
def _names() -> dict[str, list[str]]:
    return {name: text.split(";") for name, text in table("torch_names")["names"].items()}
