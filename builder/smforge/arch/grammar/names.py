"""The names of code that nvcc takes: ``sm_120f``, ``compute_90``, ``lto_90a``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from smforge.arch.target import ComputeCapability, Suffix, Target
from smforge.errors import ArchitectureError

_NAME = re.compile(r"(?P<form>sm|compute|lto)_(?P<number>[1-9]\d{1,2})(?P<suffix>[af]?)\Z")


class CodeForm(StrEnum):
    """What kind of code a name stands for."""

    CUBIN = "sm"
    PTX = "compute"
    LTO_IR = "lto"


@dataclass(frozen=True, slots=True, order=True)
class CodeName:
    """A kind of code for a target."""

    form: CodeForm
    target: Target

    def __str__(self) -> str:
        return render(self)


def parse(text: str) -> CodeName:
    """Read ``sm_120f``, ``compute_90`` or ``lto_90a``. Raises `ArchitectureError`."""
    match = _NAME.match(text)
    if match is None:
        raise ArchitectureError(
            f"{text!r} is not a code name of nvcc.", remedy="Write it as sm_120f or compute_90."
        )
    capability = ComputeCapability.from_number(int(match["number"]))
    return CodeName(CodeForm(match["form"]), Target(capability, Suffix(match["suffix"])))


def render(name: CodeName) -> str:
    """The name as nvcc takes it."""
    return f"{name.form}_{name.target.capability.number}{name.target.suffix}"
