"""The comparison by kernel names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import chain

from smforge.arch.target import ComputeCapability
from smforge.report.diff.pairing import Change, Item, Pair, follow, follow_names
from smforge.report.diff.sides import Library, Side
from smforge.report.diff.tallies import Movement, movement, tally_of
from smforge.report.diff.terms import DiffTerms
from smforge.verdict.names import demangle


@dataclass(frozen=True, slots=True)
class FamilyMove:
    """Kernels of one family that went the same way."""

    family: str
    change: Change
    old_library: str | None
    new_library: str | None
    allowed: bool


@dataclass(slots=True)
class Moved:
    """How many they are, and what it means per device."""

    old: int = 0
    new: int = 0
    devices: dict[ComputeCapability, Movement] = field(default_factory=dict)


def compare_names(
    old: Side,
    new: Side,
    keys: Mapping[str, str],
    devices: Sequence[ComputeCapability],
    terms: DiffTerms,
) -> dict[FamilyMove, Moved]:
    """Follow every kernel, and sum up by family what did not stay as it was.

    `keys` gives, by path, the key under which libraries of both sides are the same one.
    """
    paired = (follow_names if terms.strict else follow)(_items(old, keys), _items(new, keys))
    found: dict[FamilyMove, Moved] = {}
    for pair in paired:
        steps = {device: _step(pair, device, terms) for device in devices}
        moving = {device: step for device, step in steps.items() if step != _STILL}
        if pair.change is Change.SAME and not moving:
            # Most kernels, and reading their names is what costs.
            continue
        sums = found.setdefault(_move(pair, terms), Moved())
        sums.old += _count(pair.old)
        sums.new += _count(pair.new)
        for device, step in moving.items():
            sums.devices[device] = sums.devices.get(device, _STILL) + step
    return found


def _step(pair: Pair, device: ComputeCapability, terms: DiffTerms) -> Movement:
    before = tally_of((one.embedded for one in pair.old), device)
    after = tally_of((one.embedded for one in pair.new), device)
    return movement(before, after, pair.change, native_only=terms.native_only)


_STILL = Movement()


def _items(side: Side, keys: Mapping[str, str]) -> Iterator[Item]:
    for library in side.libraries:
        for name, embedded in (library.kernels or {}).items():
            yield Item(library, keys[library.path], name, embedded)


def _move(pair: Pair, terms: DiffTerms) -> FamilyMove:
    return FamilyMove(
        family=pair.either[0].family,
        change=pair.change,
        old_library=_path(pair.old),
        new_library=_path(pair.new),
        allowed=bool(terms.allowed) and all(_allowed(one, terms.allowed) for one in pair.old),
    )


def _path(items: Sequence[Item]) -> str | None:
    return items[0].library.path if items else None


def _count(items: Iterable[Item]) -> int:
    return sum(chain.from_iterable(one.embedded.values() for one in items))


def _allowed(item: Item, patterns: Sequence[str]) -> bool:
    texts = item.library.path, item.name, demangle(item.name), item.family
    return any(fnmatchcase(text, pattern) for pattern in patterns for text in texts)


def library_keys(old: Side, new: Side) -> dict[str, str]:
    """By path, the key under which a library of one side is the same as one of the other.

    Two single files are the same library under whatever name. Elsewhere paths decide, without
    what changes from build to build, as long as that leaves them apart.
    """
    if all(one.identity.kind == "file" and len(one.libraries) == 1 for one in (old, new)):
        return {one.path: "" for one in (*old.libraries, *new.libraries)}
    crowded = _repeated(old.libraries) | _repeated(new.libraries)
    return {
        one.path: one.path if one.key in crowded else one.key
        for one in (*old.libraries, *new.libraries)
    }


def _repeated(libraries: Iterable[Library]) -> set[str]:
    counted = Counter(one.key for one in libraries)
    return {key for key, number in counted.items() if number > 1}
