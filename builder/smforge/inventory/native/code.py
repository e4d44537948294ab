"""Code objects as a report shows them, put together from headers and payloads."""

from __future__ import annotations

import sys
from typing import NamedTuple

from smforge.inventory.formats.fatbin import Entry
from smforge.inventory.records import CodeObject, Kind

TEXTS = (Kind.PTX, Kind.RELOCATABLE_PTX)


class Details(NamedTuple):
    """What only the payload of a code object tells."""

    kernels: tuple[str, ...] | None = None
    source: str | None = None
    toolkit: str | None = None


NO_DETAILS = Details()


def describe(entry: Entry, details: Details) -> CodeObject:
    """Put together what an entry's header and its payload say."""
    return CodeObject(
        kind=entry.kind,
        target=entry.target,
        stored_bytes=entry.stored,
        ptx_isa="{}.{}".format(*entry.version) if entry.kind in TEXTS else None,
        toolkit=details.toolkit,
        compression=entry.compression,
        kernels=_shared(details.kernels),
    )


def _shared(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Keep one string per name: a kernel has the same name in the code for every target."""
    return None if names is None else tuple(map(sys.intern, names))
