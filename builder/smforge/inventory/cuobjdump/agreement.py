"""Compares what two backends found, object by object."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from smforge.arch.target import Suffix, Target
from smforge.inventory.records import Damage, FileInventory, Inventory, Kind, Origin

Names = tuple[str, ...] | None

Key = tuple[Kind, Target, Names]
"""What two backends must agree on for each code object: kind, target and kernel names."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Code objects of one file that one backend sees more often than the other."""

    path: str
    kind: Kind
    target: Target
    kernels: Names
    native: int
    cuobjdump: int

    def __str__(self) -> str:
        what = f"{self.kind} for {self.target}"
        if self.kernels:
            what += f" with {len(self.kernels)} kernels ({self.kernels[0]}, …)"
        return f"{self.path}: {what}: native {self.native}, cuobjdump {self.cuobjdump}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result of comparing two inventories of one subject."""

    files: int
    """Files that both could read."""
    objects: int
    kernels: int
    """Kernel names compared, each object's own."""
    differences: tuple[Difference, ...]
    unread: tuple[Damage, ...]
    """Files that cuobjdump could not read, with its own words."""

    def __add__(self, other: Comparison) -> Comparison:
        return Comparison(
            self.files + other.files,
            self.objects + other.objects,
            self.kernels + other.kernels,
            self.differences + other.differences,
            self.unread + other.unread,
        )


def compare(native: Inventory, cuobjdump: Inventory) -> Comparison:
    """Compare the multisets of (kind, target, kernel names) of every file.

    What cuobjdump does not list is left out: code outside the sections that it reads, relocatable
    code where there is linked code, and files that are PTX text.
    """
    theirs = {file.path: file for file in cuobjdump.files}
    ours = {file.path: file for file in native.files}
    unread = tuple(damage for file in cuobjdump.files for damage in file.damage)
    failed = {damage.path for damage in unread}
    paths = [path for path in sorted(ours.keys() | theirs.keys()) if path not in failed]
    differences: list[Difference] = []
    objects = kernels = 0
    for path in paths:
        left = _objects(ours.get(path))
        right = _objects(theirs.get(path))
        if any(key[1].suffix is Suffix.UNKNOWN for key in right):
            left, right = _without_families(left), _without_families(right)
        objects += left.total()
        kernels += sum(len(key[2] or ()) * count for key, count in left.items())
        differences.extend(
            Difference(path, *key, native=left[key], cuobjdump=right[key])
            for key in left.keys() | right.keys()
            if left[key] != right[key]
        )
    return Comparison(len(paths), objects, kernels, tuple(differences), unread)


def _without_families(objects: Counter[Key]) -> Counter[Key]:
    """Take plain and f targets for one: an old cuobjdump does not tell them apart."""
    blurred: Counter[Key] = Counter()
    for (kind, target, kernels), count in objects.items():
        specific = target.suffix is Suffix.ARCH_SPECIFIC or kind is not Kind.CUBIN
        seen = target if specific else Target(target.capability, Suffix.UNKNOWN)
        blurred[kind, seen, kernels] += count
    return blurred


def _objects(file: FileInventory | None) -> Counter[Key]:
    if file is None:
        return Counter()
    return Counter(
        (code.kind, code.target, code.kernels)
        for region in file.counted_regions
        if region.origin is not Origin.EMBEDDED
        for code in region.objects
        if not (code.kind is Kind.PTX and code.stored_bytes == file.size)
    )
