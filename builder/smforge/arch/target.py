"""Compute capabilities (what a device is) and targets (what code is compiled for)."""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from smforge.errors import ArchitectureError

_CAPABILITY = re.compile(r"(?P<major>[1-9]\d?)\.(?P<minor>\d)\Z")
_TARGET = re.compile(r"(?P<major>[1-9]\d?)\.(?P<minor>\d)(?P<suffix>[af]?)\Z")
_NAME = re.compile(r"(?:sm|compute|lto)_(?P<number>[1-9]\d{1,2})(?P<suffix>[af]?)\Z")


class ComputeCapability(NamedTuple):
    """The version of a device's instruction set, for example 12.1 (DGX Spark)."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> ComputeCapability:
        """Read ``12.1``. Raises `ArchitectureError` for anything else."""
        match = _CAPABILITY.match(text)
        if match is None:
            raise ArchitectureError(
                f"{text!r} is not a compute capability.", remedy="Write it as MAJOR.MINOR: 12.1."
            )
        return cls(int(match["major"]), int(match["minor"]))

    @classmethod
    def from_number(cls, number: int) -> ComputeCapability:
        """Read the number of a target name: 121 is 12.1, 90 is 9.0."""
        return cls(*divmod(number, 10))

    @property
    def number(self) -> int:
        """The number in target names: 121 for 12.1."""
        return self.major * 10 + self.minor

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


class Suffix(StrEnum):
    """How far code for a target is tied to its architecture (PTX ISA 11.1.2)."""

    PLAIN = ""
    ARCH_SPECIFIC = "a"
    FAMILY_SPECIFIC = "f"
    UNKNOWN = "?"
    """A raw cubin that does not record its suffix; never parsed, only found."""


class Target(NamedTuple):
    """What a code object was compiled for: a capability and a suffix, for example 12.0f."""

    capability: ComputeCapability
    suffix: Suffix = Suffix.PLAIN

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read ``12.0f``, ``sm_120f`` or ``compute_120f``. Raises `ArchitectureError`."""
        return _parse_target(text)

    @property
    def sm(self) -> str:
        """The name of machine code for this target: ``sm_120f``."""
        return f"sm_{self.capability.number}{self.suffix}"

    @property
    def compute(self) -> str:
        """The name of PTX for this target: ``compute_120f``."""
        return f"compute_{self.capability.number}{self.suffix}"

    def __str__(self) -> str:
        return f"{self.capability}{self.suffix}"


@lru_cache(maxsize=1024)  # A large matrix has few targets, each of them many times.
def _parse_target(text: str) -> Target:
    if match := _TARGET.match(text):
        capability = ComputeCapability(int(match["major"]), int(match["minor"]))
    elif match := _NAME.match(text):
        capability = ComputeCapability.from_number(int(match["number"]))
    else:
        raise ArchitectureError(
            f"{text!r} is not a target.", remedy="Write it as 12.0f or sm_120f."
        )
    return Target(capability, Suffix(match["suffix"]))
