"""The manifest that ``smforge slim`` and ``smforge repair`` leave in what they write.

It lists the code objects that were taken out. An audit reads it, because a copy itself does not
show which kernels it lost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from smforge.arch.target import ComputeCapability
from smforge.errors import SmforgeError
from smforge.inventory.subjects.members import Member

MANIFEST: Final = "smforge-rewrite.json"
"""Its name: next to the metadata in a wheel, otherwise at the top of the folder."""
_MOST_BYTES: Final = 256 << 20
"""Each code object takes about 200 bytes."""


@dataclass(frozen=True, slots=True)
class SlimmedCopy:
    """A part of a subject from which code objects were taken out."""

    path: str
    """Where its manifest is."""
    original: str
    """The file name of what it was made from; empty where the manifest cannot be read."""
    kept: frozenset[ComputeCapability]
    """The devices that lost nothing; empty where the manifest cannot be read."""


class ManifestFinder:
    """Notes, member by member, the manifests of a subject."""

    def __init__(self) -> None:
        self._found: list[tuple[Member, SlimmedCopy]] = []

    def note(self, member: Member) -> None:
        """Read `member` if it is a manifest that says that something was taken out."""
        if not member.path.endswith(MANIFEST) or member.path.rpartition("/")[2] != MANIFEST:
            return
        if (copy := _read(member)) is not None:
            self._found.append((member, copy))

    def copies(self, paths_of: Callable[[Member], tuple[str, ...]]) -> tuple[SlimmedCopy, ...]:
        """What was found, by path; ask after the last member."""
        placed = (
            replace(copy, path=path) for member, copy in self._found for path in paths_of(member)
        )
        return tuple(sorted(placed, key=lambda copy: copy.path))


def _read(member: Member) -> SlimmedCopy | None:
    """None where nothing was taken out. What cannot be read keeps no device for certain."""
    import json  # noqa: PLC0415 - few subjects have one

    unknown = SlimmedCopy(member.path, "", frozenset())
    if member.size > _MOST_BYTES:
        return unknown
    try:
        with member.open() as blob:
            document = json.loads(blob.read_at(0, blob.size))
        kept = frozenset(ComputeCapability.parse(text) for text in document["keep"])
        copy = SlimmedCopy(member.path, str(document["original"]), kept)
        return copy if _lost(document) else None
    except (SmforgeError, ValueError, LookupError, TypeError, RecursionError):
        return unknown


def _lost(document: dict[str, Any]) -> bool:
    return any(region["dropped"] for one in document["libraries"] for region in one["regions"])
