"""File readers for the survey that ask cuobjdump, alone or beside the native reader."""

from __future__ import annotations

from smforge.inventory.cuobjdump.locate import Cuobjdump
from smforge.inventory.cuobjdump.reading import check_sections, read_file
from smforge.inventory.digest import sha256_of
from smforge.inventory.formats.blob import Blob
from smforge.inventory.native import reader as native
from smforge.inventory.options import ReadOptions
from smforge.inventory.records import FileInventory, Inventory, Origin
from smforge.inventory.sandbox import Bounds


class CuobjdumpReader:
    """Reads code objects with cuobjdump alone.

    What else an audit asks of a file, cubins and PTX among its data, and whether the place of GPU
    code is what it should be: no release of cuobjdump answers that, so the native reader does.
    """

    def __init__(self, tool: Cuobjdump, bounds: Bounds | None = None) -> None:
        self._tool = tool
        self._bounds = bounds or Bounds()

    def __call__(self, path: str, blob: Blob, options: ReadOptions) -> FileInventory | None:
        found = read_file(self._tool, path, blob, options, self._bounds)
        if found is None:
            check_sections(blob)
        beside = native.read_file(path, blob, options._replace(names=False))
        if beside is None:
            return found and found._replace(sha256=sha256_of(blob) if options.digests else None)
        data = tuple(region for region in beside.regions if region.origin is Origin.DATA)
        if found is None:
            # "No device code" is what cuobjdump says of a section of zeros, too.
            return beside._replace(regions=data) if beside.damage or data else None
        return found._replace(
            sha256=beside.sha256,
            regions=found.regions + data,
            needed=beside.needed,
            unlinked=beside.unlinked,
            damage=found.damage + beside.damage,
        )


class BothReaders:
    """Reads files natively and remembers what cuobjdump says of the same bytes."""

    def __init__(self, tool: Cuobjdump, bounds: Bounds | None = None) -> None:
        self._tool = tool
        self._bounds = bounds or Bounds()
        self._second: dict[str, FileInventory] = {}

    def __call__(self, path: str, blob: Blob, options: ReadOptions) -> FileInventory | None:
        first = native.read_file(path, blob, options)
        second = read_file(self._tool, path, blob, options, self._bounds)
        if second is None:
            return first
        # What cuobjdump alone sees must not get lost: the file stands there without code, and
        # the comparison says that the backends disagree.
        first = first or second._replace(regions=(), damage=())
        self._second[_key(first)] = second
        return first

    def second_opinion(self, inventory: Inventory) -> Inventory:
        """The same subject as cuobjdump sees it: the same files, at the same paths."""
        files = tuple(
            second.at(file.path)
            for file in inventory.files
            if (second := self._second.get(_key(file)))
        )
        return inventory._replace(files=files)


def _key(file: FileInventory) -> str:
    return file.sha256 or file.path
