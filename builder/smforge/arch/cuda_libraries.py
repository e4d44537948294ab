"""The libraries of the CUDA toolkit by their sonames: data/cuda_libraries.json."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from smforge.arch.tables import table

_FORM = re.compile(r"(?P<name>lib[A-Za-z]+)\.so\.(?P<number>\d+)(?P<rest>(?:\.\d+)*)\Z")


class CudaLibrary(NamedTuple):
    """What a soname or a file name says: ``libcublas.so.13`` or ``libcublas.so.13.1.0.3``."""

    name: str
    """``libcublas``."""
    number: int
    """The first number after ``.so``."""
    major: int | None
    """The CUDA major version; None where the library counts on its own."""
    soname: str
    """The text itself."""

    @property
    def calls_driver(self) -> bool:
        """Whether using it needs a driver of its CUDA major."""
        return self.name in table("cuda_libraries")["call_driver"]


@cache
def cuda_library(soname: str) -> CudaLibrary | None:
    """Read a soname or a file's name; None for other libraries, and for names without a number."""
    match = _FORM.match(soname)
    if match is None:
        return None
    name, number = match["name"], int(match["number"])
    if name in table("cuda_libraries")["numbered_by_cuda_major"]:
        return CudaLibrary(name, number, number, soname)
    if name in table("cuda_libraries")["own_numbers"]:
        return CudaLibrary(name, number, None, soname)
    return None


def cuda_library_names() -> tuple[str, ...]:
    """Every name that `cuda_library` knows: ``libcublas``, …"""
    known = table("cuda_libraries")
    return (*known["numbered_by_cuda_major"], *known["own_numbers"])
