"""Groups kernels by the code that they are embedded as.

A kernel is an entry name within one region of one file: the runtime looks it up in the module
that its translation unit registered, so a kernel of the same name in another region does not help
it. The driver picks one code object of a region for a
device, so it also matters which objects of the region lack the kernel. Thousands of
kernels share a few sets of targets; judging works on those sets, never on single kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from smforge.arch.target import Suffix, Target
from smforge.inventory.records import RUNNABLE, CodeObject, FileInventory, Kind, Region

MACHINE_CODE = frozenset({Kind.CUBIN, Kind.OLD_CUBIN})


@dataclass(frozen=True, slots=True)
class Ptx:
    """PTX for a target, in a version of the language."""

    target: Target
    isa: str | None


@dataclass(frozen=True, slots=True)
class Embedded:
    """All code that one kernel is embedded as, and the code of the same region without it."""

    cubins: frozenset[Target]
    ptx: frozenset[Ptx]
    lacking_cubins: frozenset[Target] = frozenset()
    """Machine code of the same region without this kernel: the driver may pick it."""
    lacking_ptx: frozenset[Target] = frozenset()
    """PTX of the same region without this kernel."""
    unregistered: bool = False
    """Whether no host code can launch it (`smforge.inventory.records.Region.unregistered`)."""
    alternatives: frozenset[Embedded] = frozenset()
    """What kernels of the same name are embedded as elsewhere, if the program loads one of them
    (`smforge.verdict.views.alternatives`)."""

    @property
    def targets(self) -> frozenset[Target]:
        return self.cubins | {ptx.target for ptx in self.ptx}

    @property
    def specialised(self) -> bool:
        """Whether all of it is a or f code, made for its devices by design."""
        tied = (Suffix.ARCH_SPECIFIC, Suffix.FAMILY_SPECIFIC)
        return all(target.suffix in tied for target in self.targets)

    def names(self) -> tuple[str, ...]:
        """What it is embedded as, in target names: ``sm_90a``, ``compute_80``."""
        ptx = sorted({item.target for item in self.ptx})
        return (*(t.sm for t in sorted(self.cubins)), *(t.compute for t in ptx))


@dataclass(frozen=True, slots=True)
class KernelGroup:
    """Kernels of one file that are embedded as the same code."""

    embedded: Embedded
    names: tuple[str, ...]
    """One per kernel, so a name stands as often as regions hold it; where names were not read,
    one label per region."""

    @property
    def count(self) -> int:
        return len(self.names)


AlternativesOf = Callable[[FileInventory, Region], Mapping[str, frozenset[Embedded]]]
"""Gives, by kernel name, all that the kernels of that name are embedded as which a program chooses
among when it loads a region of a file; empty where nothing is to be chosen."""


def no_alternatives(_file: FileInventory, _region: Region) -> Mapping[str, frozenset[Embedded]]:
    """Return nothing: a program has no alternatives to choose from."""
    return {}


def group_kernels(
    file: FileInventory, alternatives: AlternativesOf = no_alternatives
) -> tuple[KernelGroup, ...]:
    """Group the file's kernels by what they are embedded as, in order of the first of each."""
    groups: dict[Embedded, list[str]] = {}
    for region in file.counted_regions:
        beside = alternatives(file, region)
        for embedded, names in region_groups(region):
            if not beside:
                groups.setdefault(embedded, []).extend(names)
                continue
            for name in names:
                others = beside.get(name, frozenset()) - {embedded}
                key = replace(embedded, alternatives=others) if others else embedded
                groups.setdefault(key, []).append(name)
    return tuple(KernelGroup(embedded, tuple(names)) for embedded, names in groups.items())


def names_read(file: FileInventory) -> bool:
    """Whether the kernel names of the file's runnable code were asked for."""
    return all(
        code.kernels is not None
        for region in file.counted_regions
        for code in region.objects
        if code.kind in RUNNABLE
    )


def region_groups(region: Region) -> Iterator[tuple[Embedded, list[str]]]:
    """Group the kernels of one region by what they are embedded as.

    If names were not read, the region has one label, as if it were a kernel.
    """
    objects = [code for code in region.objects if code.kind in RUNNABLE]
    if not objects:
        return
    if any(code.kernels is None for code in objects):
        yield _embedded(objects), [region.source or f"{region.section}+{region.offset:#x}"]
        return
    holders: dict[str, int] = {}
    for position, code in enumerate(objects):
        bit = 1 << position
        for name in code.kernels or ():
            holders[name] = holders.get(name, 0) | bit
    groups: dict[tuple[int, bool], list[str]] = {}
    for name, bits in holders.items():
        groups.setdefault((bits, name in region.unregistered), []).append(name)
    for (bits, unregistered), names in groups.items():
        held = [code for i, code in enumerate(objects) if bits >> i & 1]
        lacking = [code for i, code in enumerate(objects) if not bits >> i & 1]
        yield _embedded(held, lacking, unregistered), names


def _embedded(
    objects: Sequence[CodeObject], lacking: Sequence[CodeObject] = (), unregistered: bool = False
) -> Embedded:
    return Embedded(
        cubins=frozenset(code.target for code in objects if code.kind in MACHINE_CODE),
        ptx=frozenset(Ptx(code.target, code.ptx_isa) for code in objects if code.kind is Kind.PTX),
        lacking_cubins=frozenset(code.target for code in lacking if code.kind in MACHINE_CODE),
        lacking_ptx=frozenset(code.target for code in lacking if code.kind is Kind.PTX),
        unregistered=unregistered,
    )
