"""CMAKE_CUDA_ARCHITECTURES: ``90a-real;120f-real;90-virtual;80``.

Source: CMake's documentation of the CUDA_ARCHITECTURES property.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from smforge.arch.grammar.gencode import Gencode
from smforge.arch.grammar.names import CodeForm, CodeName
from smforge.arch.target import ComputeCapability, Suffix, Target
from smforge.errors import ArchitectureError

_ENTRY = re.compile(r"(?P<number>[1-9]\d{1,2})(?P<suffix>[af]?)(?P<form>-real|-virtual|)\Z")
_MEASURED = ("all", "all-major", "native", "OFF")


class CMakeForm(StrEnum):
    """What an element asks for."""

    BOTH = ""
    REAL = "-real"
    """Machine code only."""
    VIRTUAL = "-virtual"
    """PTX only."""


@dataclass(frozen=True, slots=True, order=True)
class CMakeEntry:
    """One element of the list."""

    target: Target
    form: CMakeForm = CMakeForm.BOTH

    def __str__(self) -> str:
        return f"{self.target.capability.number}{self.target.suffix}{self.form}"


def parse(text: str) -> tuple[CMakeEntry, ...]:
    """Read a list. Order and repetitions are kept.

    Raises `ArchitectureError`, also for ``all``, ``all-major``, ``native`` and ``OFF``: what they
    stand for depends on the toolkit or the machine.
    """
    return tuple(_parse_entry(word) for word in text.split(";"))


def render(entries: Iterable[CMakeEntry]) -> str:
    """The list as CMake takes it."""
    return ";".join(str(entry) for entry in entries)


def gencodes(entries: Iterable[CMakeEntry]) -> tuple[Gencode, ...]:
    """The nvcc options that CMake makes of a list."""
    forms = {
        CMakeForm.BOTH: (CodeForm.PTX, CodeForm.CUBIN),
        CMakeForm.REAL: (CodeForm.CUBIN,),
        CMakeForm.VIRTUAL: (CodeForm.PTX,),
    }
    return tuple(
        Gencode(entry.target, tuple(CodeName(form, entry.target) for form in forms[entry.form]))
        for entry in entries
    )


def _parse_entry(word: str) -> CMakeEntry:
    match = _ENTRY.match(word)
    if match is None:
        remedy = "Write it as 120, 120f-real or 90-virtual."
        if word in _MEASURED:
            remedy = "Name the targets: its meaning depends on the toolkit or the machine."
        raise ArchitectureError(f"{word!r} does not name a CMake CUDA architecture.", remedy=remedy)
    capability = ComputeCapability.from_number(int(match["number"]))
    return CMakeEntry(Target(capability, Suffix(match["suffix"])), CMakeForm(match["form"]))
