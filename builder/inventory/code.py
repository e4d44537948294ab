"""Code objects as a report shows them, put together from headers and payloads."""

from __future__ import annotations

from typing import NamedTuple

from builder.inventory.fatbin import Entry
from builder.inventory.records import CodeObject, Kind

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
        kernels=details.kernels,
    )
