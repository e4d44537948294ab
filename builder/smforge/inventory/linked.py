"""Which regions of a file decide what runs."""

from __future__ import annotations

from smforge.inventory.records import FileInventory, Origin, Region


def counted_regions(file: FileInventory) -> tuple[Region, ...]:
    """Return the regions whose code is loaded as it is.

    Relocatable code is the device linker's input: where the file (or the member of a static
    archive) has linked code too, that is what the runtime loads, and what cuobjdump lists. Code
    among the data of a host file is loaded by what its program decides.
    """
    linked = {region.member for region in file.regions if region.origin is Origin.FATBIN}
    return tuple(
        region
        for region in file.regions
        if region.origin is not Origin.DATA
        and (region.origin is not Origin.RELOCATABLE or region.member not in linked)
    )
