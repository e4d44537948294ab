"""Which kernels of a host file no host code can launch.

A translation unit is compiled once for the host and once per target, and `__CUDA_ARCH__` can
choose other kernels in each pass. The host's pass registers the kernels that it knows, by name:
``__cudaRegisterFunction`` gets a string constant. What only another pass made stays in that
target's code, and nothing can ask the runtime for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator

from smforge.arch.target import Suffix, Target
from smforge.inventory.formats.blob import Blob
from smforge.inventory.native.region_finder import Span
from smforge.inventory.records import RUNNABLE, Kind, Origin, Region

_CHUNK = 1 << 20
_MANGLED = re.compile(rb"_Z[^\0]+\0")
_FEW = 64
"""Names up to which each is searched for by itself."""
_MOST = 1024
"""Names beyond which none is searched for: no pass of a compiler leaves that many."""
_IDENTIFIER = re.compile(r"[1-9]\d{0,3}")
"""The length before an identifier in a mangled name."""
_TIED = (Suffix.ARCH_SPECIFIC, Suffix.FAMILY_SPECIFIC)


def mark_unregistered(
    blob: Blob,
    regions: list[Region],
    spans: list[Span],
    registered: Collection[int],
    check_time: Callable[[], None],
) -> list[Region]:
    """Fill in `Region.unregistered`.

    `spans` are the places of all GPU code of `blob`, and `regions` were read at those of them that
    are fatbins. `registered` holds the offsets of the fatbins that a wrapper names. Only regions
    are looked at in which ordinary code for one target has a kernel that all code for another one
    lacks, so that this costs nothing for most files. `check_time` may raise to end the search.
    """
    fatbins = (span for span in spans if span.origin is not Origin.DATA)
    doubtful = {
        index: found
        for index, (region, span) in enumerate(zip(regions, fatbins, strict=True))
        if span.offset in registered and (found := _of_some_targets(region))
    }
    if not doubtful:
        return regions
    text = _HostText(blob, spans, check_time)
    absent = text.without(set().union(*doubtful.values()))
    absent -= _with_host_function(absent, text)
    marked = list(regions)
    for index, found in doubtful.items():
        missing = found & absent
        if missing and _registered_by_name(regions[index], missing, text):
            marked[index] = regions[index]._replace(unregistered=frozenset(missing))
    return marked


def _with_host_function(names: set[str], text: _HostText) -> set[str]:
    """Return the kernels that the host compiled too, as symbols tell where they are not stripped.

    nvcc makes a function of internal linkage of every template that the host's own pass has. Where
    the pass that registers lacks the kernel, launching it fails on every device: a defect, not a
    kernel that nothing asks for.
    """
    symbols = {name: symbol for name in names if (symbol := _host_symbol(name)) is not None}
    absent = text.without(set(symbols.values()))
    return {name for name, symbol in symbols.items() if symbol not in absent}


def _host_symbol(kernel: str) -> str | None:
    """The end of the mangled name of the host's function for a kernel template.

    ``_ZN6marlin6MarlinILi3EEEvPi`` becomes ``_ZN6marlinL6MarlinILi3EEEvPi``. None where the name
    does not begin with plain identifiers.
    """
    position, last = 3 if kernel.startswith("_ZN") else 2, None
    while match := _IDENTIFIER.match(kernel, position):
        last, position = position, match.end() + int(match[0])
    return None if last is None else f"L{kernel[last:]}"


def _of_some_targets(region: Region) -> set[str]:
    """Return the kernels of ordinary code that the code for some target of the region lacks."""
    objects = [code for code in region.objects if code.kind in RUNNABLE]
    if len({code.kernels for code in objects}) < 2:
        return set()
    by_target: dict[tuple[Kind, Target], set[str]] = {}
    ordinary: set[str] = set()
    for code in objects:
        if code.kernels is None:
            return set()
        by_target.setdefault((code.kind, code.target), set()).update(code.kernels)
        if code.target.suffix not in _TIED:
            ordinary.update(code.kernels)
    first, *others = by_target.values()
    return ordinary - first.intersection(*others)


def _registered_by_name(region: Region, missing: set[str], text: _HostText) -> bool:
    """Tell whether the host file has the names of all other kernels of the region, and of any.

    Where it does not, its names are made in another way, and a missing one says nothing.
    """
    others = {name for code in region.objects for name in code.kernels or ()} - missing
    return bool(others) and not text.without(others)


class _HostText:
    """The bytes of a host file outside its GPU code."""

    def __init__(self, blob: Blob, spans: Iterable[Span], check_time: Callable[[], None]) -> None:
        self._check_time = check_time
        self._blob = blob
        self._spans = sorted((span.offset, span.end) for span in spans)

    def without(self, names: set[str]) -> set[str]:
        """Return the names that stand nowhere, ended by a NUL.

        Linkers keep one string for several where one is the end of another, so what stands before
        a name does not matter. A name that cannot be looked for counts as one that is there.
        """
        wanted = {name.encode() + b"\0" for name in names if name and "\\" not in name}
        longest = max(map(len, wanted), default=0)
        for texts in (_mangled, _all_texts):
            if len(wanted) > _FEW:
                for part in self._parts(longest):
                    wanted.difference_update(texts(part))
        if len(wanted) > _MOST:
            return set()
        for part in self._parts(longest):
            if not wanted:
                break
            wanted = {name for name in wanted if name not in part}
        return {name[:-1].decode() for name in wanted}

    def _parts(self, overlap: int) -> Iterator[bytes]:
        """Yield the bytes in parts, each beginning with the last `overlap` bytes before it."""
        start = 0
        for offset, end in (*self._spans, (self._blob.size, self._blob.size)):
            for at in range(start, offset, _CHUNK):
                self._check_time()
                first = max(start, at - overlap)
                yield self._blob.read_at(first, min(at + _CHUNK, offset) - first)
            start = max(start, end)


def _mangled(part: bytes) -> list[bytes]:
    """The mangled names of a part, each with the NUL that ends it: most kernels' names are."""
    found: list[bytes] = _MANGLED.findall(part)
    return found


def _all_texts(part: bytes) -> Iterator[bytes]:
    """Everything that a NUL ends, with it; a slow way, for names that are not mangled."""
    return (text + b"\0" for text in part.split(b"\0")[:-1])
