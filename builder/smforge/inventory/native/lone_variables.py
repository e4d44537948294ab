"""The device variables of translation units that have no kernel.

Only the host can use them: ``cudaMemcpyToSymbol`` and ``cudaGetSymbolAddress`` find a variable by
the name that ``__cudaRegisterVar`` was given, in the code object that the driver picked. Where a
unit has kernels, what they are embedded as answers for its variables too.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from smforge.errors import DamagedInputError
from smforge.inventory.formats.blob import Blob
from smforge.inventory.formats.fatbin import Entry, read_entries
from smforge.inventory.formats.limits import Limits
from smforge.inventory.native.host_text import HostText
from smforge.inventory.native.region_finder import Span
from smforge.inventory.records import RUNNABLE, Kind, Region

_LARGEST = 16 << 20
"""Bytes of a code object without kernels that is looked into: real ones have a few thousand."""
_PTX_VARIABLE = re.compile(
    rb"^\s*(?:\.(?:visible|weak|common)\s+)?\.(?:global|const)\b[^;={]*?([A-Za-z_$%][\w$]*)"
    rb"\s*(?:\[[^\]]*\]\s*)*(?=[=;])",
    re.MULTILINE,
)
"""A variable of a module (PTX ISA 5.2, 11.6): ``.visible .global .align 4 .b8 name[16];``."""


def mark_variables(
    host: HostText, regions: list[Region], registered: Collection[int], limits: Limits
) -> list[Region]:
    """Fill in `Region.variables`.

    `regions` were read at the fatbins of the host file. `registered` holds the offsets of the
    fatbins that a wrapper names. Only regions without a kernel are looked at.
    """
    found = {
        index: names
        for index, (region, span) in enumerate(zip(regions, host.fatbins, strict=True))
        if span.offset in registered
        and _without_kernels(region)
        and (names := _variables(host.blob, span, limits))
    }
    if not found:
        return regions
    absent = host.without(set().union(*found.values()))
    marked = list(regions)
    for index, names in found.items():
        marked[index] = regions[index]._replace(variables=frozenset(names - absent))
    return marked


def _without_kernels(region: Region) -> bool:
    runnable = [code for code in region.objects if code.kind in RUNNABLE]
    return bool(runnable) and all(code.kernels == () for code in runnable)


def _variables(blob: Blob, span: Span, limits: Limits) -> set[str]:
    names: set[bytes] = set()
    for entry in read_entries(blob, span.offset, span.end):
        if entry.size <= _LARGEST:
            names.update(_names(blob, entry, limits))
    return {name.decode("utf-8", "backslashreplace") for name in names}


def _names(blob: Blob, entry: Entry, limits: Limits) -> Iterable[bytes]:
    """The variables of one code object; none where its form is not known."""
    # defers the decompressors
    from smforge.inventory.formats.cubin import CubinReader  # noqa: PLC0415
    from smforge.inventory.formats.payload import open_payload  # noqa: PLC0415

    try:
        payload = open_payload(blob, entry, limits)
        if entry.kind is Kind.PTX:
            return _PTX_VARIABLE.findall(payload.read_at(0, payload.size))
        if entry.kind in RUNNABLE:
            return CubinReader(payload).variables()
    except DamagedInputError:
        # What the reader of kernels accepted is not damage because of this second look.
        return ()
    return ()
