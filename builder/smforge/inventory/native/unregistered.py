"""Which kernels of a host file no host code can launch.

A translation unit is compiled once for the host and once per target, and `__CUDA_ARCH__` can
choose other kernels in each pass. The host's pass registers the kernels that it knows, by name:
``__cudaRegisterFunction`` gets a string constant. What only another pass made stays in that
target's code, and nothing can ask the runtime for it.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from smforge.arch.target import Suffix, Target
from smforge.inventory.native.host_text import HostText
from smforge.inventory.records import RUNNABLE, Kind, Region

_IDENTIFIER = re.compile(r"[1-9]\d{0,3}")
"""The length before an identifier in a mangled name."""
_TIED = (Suffix.ARCH_SPECIFIC, Suffix.FAMILY_SPECIFIC)


def mark_unregistered(
    host: HostText, regions: list[Region], registered: Collection[int]
) -> list[Region]:
    """Fill in `Region.unregistered`.

    `regions` were read at the fatbins of the host file. `registered` holds the offsets of the
    fatbins that a wrapper names. Only regions are looked at in which ordinary code for one target
    has a kernel that all code for another one lacks, so that this costs nothing for most files.
    """
    doubtful = {
        index: found
        for index, (region, span) in enumerate(zip(regions, host.fatbins, strict=True))
        if span.offset in registered and (found := _of_some_targets(region))
    }
    if not doubtful:
        return regions
    absent = host.without(set().union(*doubtful.values()))
    absent -= _with_host_function(absent, host)
    marked = list(regions)
    for index, found in doubtful.items():
        missing = found & absent
        if missing and _registered_by_name(regions[index], missing, host):
            marked[index] = regions[index]._replace(unregistered=frozenset(missing))
    return marked


def _with_host_function(names: set[str], host: HostText) -> set[str]:
    """Return the kernels that the host compiled too, as symbols tell where they are not stripped.

    nvcc makes a function of internal linkage of every template that the host's own pass has. Where
    the pass that registers lacks the kernel, launching it fails on every device: a defect, not a
    kernel that nothing asks for.
    """
    symbols = {name: symbol for name in names if (symbol := _host_symbol(name)) is not None}
    absent = host.without(set(symbols.values()))
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


def _registered_by_name(region: Region, missing: set[str], host: HostText) -> bool:
    """Tell whether the host file has the names of all other kernels of the region, and of any.

    Where it does not, its names are made in another way, and a missing one says nothing.
    """
    others = {name for code in region.objects for name in code.kernels or ()} - missing
    return bool(others) and not host.without(others)
