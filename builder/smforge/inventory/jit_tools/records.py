"""Assemblers and compilers that a JIT finds in a subject."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from smforge.arch.target import Target


class Source(StrEnum):
    """How an assembler's targets became known."""

    READ = "read"
    """Its own tables were read; it was not run."""
    ASKED = "asked"
    """It was run, confined, and listed them."""


@dataclass(frozen=True, slots=True)
class Assembler:
    """A ptxas of a subject."""

    path: str
    release: str | None
    """The CUDA release it belongs to, as it says itself: ``12.8``."""
    targets: frozenset[Target]
    """What it assembles for; empty where that is not known."""
    source: Source
    not_asked: str = ""
    """Why it was not asked although that was wanted, as half a sentence."""


@dataclass(frozen=True, slots=True)
class Companions:
    """Everything of this kind in one subject, in its final file system."""

    assemblers: tuple[Assembler, ...] = ()
    libraries: tuple[str, ...] = ()
    """Paths of CUDA libraries whose soname carries the CUDA major: libcudart, libnvrtc, …"""
    links: tuple[tuple[str, str], ...] = ()
    """Paths where a JIT looks for an assembler, each with where it leads in the subject; only
    such as lead elsewhere."""
    ask: bool = False
    """Whether the assemblers were to be run."""
