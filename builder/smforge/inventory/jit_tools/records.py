"""The files of a subject without GPU code on which the verdict about its GPU code depends."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from smforge.arch.target import Target
from smforge.inventory.rewrite_manifest import SlimmedCopy

if TYPE_CHECKING:
    from smforge.arch.triton import TritonRules
    from smforge.inventory.install_records import RecordedFile


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
class TritonInstall:
    """A Triton of a subject, or a copy of it under another name."""

    package: str
    """The path of its package: ``usr/lib/python3/dist-packages/triton``."""
    release: str
    """``3.5.0``; empty where it does not say."""
    rules: TritonRules | None
    """How it has kernels assembled, as its own source says; None where that could not be read."""


@dataclass(frozen=True, slots=True)
class LibraryUser:
    """A program or library of the host that uses libraries of CUDA."""

    path: str
    needed: tuple[str, ...]
    """Sonames of CUDA's libraries without which the loader does not load it (DT_NEEDED)."""
    named: tuple[str, ...] = ()
    """Sonames that stand in it as text: it may open these when it runs."""


@dataclass(frozen=True, slots=True)
class HostFiles:
    """Everything of this kind in one subject, in its final file system."""

    assemblers: tuple[Assembler, ...] = ()
    libraries: tuple[str, ...] = ()
    """Paths of CUDA's libraries: libcudart, libnvrtc, … (`smforge.arch.cuda_libraries`)."""
    links: tuple[tuple[str, str], ...] = ()
    """Paths where a JIT looks for an assembler, each with where it leads in the subject; only
    such as lead elsewhere."""
    tritons: tuple[TritonInstall, ...] = ()
    users: tuple[LibraryUser, ...] = ()
    """Every file that needs or names one of CUDA's libraries, with and without GPU code."""
    ask: bool = False
    """Whether the assemblers were to be run."""
    copies: tuple[SlimmedCopy, ...] = ()
    """The parts that smforge slimmed, as their manifests say."""
    recorded: tuple[RecordedFile, ...] = ()
    """The libraries that the packages list."""

    def below(self, folder: str) -> HostFiles:
        """The same files, found in a folder of this name."""
        return replace(
            self,
            assemblers=tuple(replace(one, path=f"{folder}/{one.path}") for one in self.assemblers),
            libraries=tuple(f"{folder}/{path}" for path in self.libraries),
            links=tuple((f"{folder}/{path}", f"{folder}/{end}") for path, end in self.links),
            tritons=tuple(replace(one, package=f"{folder}/{one.package}") for one in self.tritons),
            users=tuple(replace(one, path=f"{folder}/{one.path}") for one in self.users),
            copies=tuple(replace(one, path=f"{folder}/{one.path}") for one in self.copies),
            recorded=tuple(one.below(folder) for one in self.recorded),
        )

    @classmethod
    def joined(cls, several: Iterable[HostFiles]) -> HostFiles:
        """The files of several subjects, each in a folder of its own."""
        several = tuple(several)
        return cls(
            tuple(found for one in several for found in one.assemblers),
            tuple(found for one in several for found in one.libraries),
            tuple(found for one in several for found in one.links),
            tuple(found for one in several for found in one.tritons),
            tuple(found for one in several for found in one.users),
            any(one.ask for one in several),
            tuple(found for one in several for found in one.copies),
            tuple(found for one in several for found in one.recorded),
        )
