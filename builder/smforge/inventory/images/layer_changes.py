"""The changes of one layer to the file system below it, stored compactly until all layers are
known.

A layer is unpacked into a directory of its own, which an overlay file system then puts over the
lower ones; this module models the first half, `filesystem` the second. Hence symbolic links among
an entry's parents count where the same layer made them; a link of a lower layer is replaced by the
directory that an upper layer needs there.

Whiteouts: OCI image-spec, "Image Layer Filesystem Changeset", sections "Whiteouts" and "Opaque
Whiteout".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import zstandard

from smforge.errors import DamagedInputError
from smforge.inventory.archives.tar import Entry, EntryType

WHITEOUT_PREFIX = ".wh."
OPAQUE_WHITEOUT = ".wh..wh..opq"
PATH_MAX = 4096
"""The longest path that Linux takes, in bytes."""
_META_PREFIX = ".wh..wh."
_LOG_BATCH = 1000
_MAX_LINKS = 255
"""Symbolic links followed for one path, as in Go's path handling of the container engines."""


class ChangeType(StrEnum):
    """What a change does at its path. The values are the log's own."""

    REMOVE = "r"
    """Remove what lower layers have there."""
    EMPTY = "e"
    """Remove what lower layers have beneath it."""
    DIRECTORY = "d"
    OTHER = "o"
    """Something without content of interest: it only hides what is below."""
    FILE = "f"
    """A file that was read; `detail` is its serial."""
    SYMLINK = "s"
    """`detail` is its target."""
    HARDLINK = "h"
    """`detail` is the path of the file, within the layer."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change at a path without leading slash, dots or links of the same layer in it."""

    type: ChangeType
    path: str
    detail: str = ""


class LayerChanges:
    """Takes a layer's entries in their order, and gives the changes back as often as asked."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._removals = _Log()
        self._additions = _Log()
        self._links: dict[str, str] = {}
        self._directories: set[int] = set()
        self._not_directories: set[int] = set()
        """Hashes of the paths that the layer holds so far: a layer can have a million."""
        self._parents: dict[str, str] = {"": ""}

    def path_of(self, entry: Entry) -> str:
        """Return where `entry` lies once the layer is unpacked; empty for the root itself."""
        if len(entry.name) > PATH_MAX or len(entry.link) > PATH_MAX:
            raise DamagedInputError(f"{self._where} has a name of more than {PATH_MAX} characters.")
        parent, _, name = clean(entry.name).rpartition("/")
        return _joined(self._resolved(parent), name)

    def add(self, entry: Entry, path: str, serial: int | None) -> None:
        """Record `entry`, which lies at `path`; `serial` is that of a file that was read."""
        parent, _, name = path.rpartition("/")
        if name.startswith(WHITEOUT_PREFIX):
            self._add_whiteout(parent, name)
        elif entry.type is EntryType.DIRECTORY:
            if path:
                self._add_directory(path)
                self._additions.append(Change(ChangeType.DIRECTORY, path))
        elif not path:
            raise DamagedInputError(f"{self._where} replaces the root directory by something else.")
        else:
            self._add_file(entry, path, serial)

    def close(self) -> None:
        """Note the end of the layer, and free what only further entries would need."""
        self._removals.close()
        self._additions.close()
        self._links = {}
        self._directories = set()
        self._not_directories = set()
        self._parents = {}

    def removals(self) -> Iterator[Change]:
        """Yield what the layer removes from lower ones, all of which comes before any addition."""
        return self._removals.changes()

    def additions(self) -> Iterator[Change]:
        """Yield what the layer adds, in the order of its entries."""
        return self._additions.changes()

    def _add_whiteout(self, parent: str, name: str) -> None:
        if parent:
            # The whiteout itself needs its folder, even where lower layers have something else.
            self._add_directory(parent)
            self._additions.append(Change(ChangeType.DIRECTORY, parent))
        if name == OPAQUE_WHITEOUT:
            self._removals.append(Change(ChangeType.EMPTY, parent))
        elif not name.startswith(_META_PREFIX):
            hidden = name.removeprefix(WHITEOUT_PREFIX)
            if hidden in {"", ".", ".."}:
                raise DamagedInputError(f"{self._where} has the whiteout {name!r} in {parent!r}.")
            path = _joined(parent, hidden)
            if hash(path) in self._not_directories or hash(path) in self._directories:
                raise DamagedInputError(
                    f"{self._where} holds {path!r} and then removes it. Container engines refuse "
                    "that, or differ in whether it is there."
                )
            self._removals.append(Change(ChangeType.REMOVE, path))

    def _add_file(self, entry: Entry, path: str, serial: int | None) -> None:
        if self._links.pop(path, None) is not None or path in self._parents:
            self._parents = {"": ""}
        change = Change(ChangeType.OTHER, path)
        if entry.type is EntryType.SYMLINK:
            # Paths that were resolved before the link existed remain; later paths follow it.
            self._links[path] = entry.link
            self._parents = {"": ""}
            change = Change(ChangeType.SYMLINK, path, entry.link)
        elif entry.type is EntryType.HARDLINK:
            change = Change(ChangeType.HARDLINK, path, self._linked_file(entry.link, path))
        elif serial is not None:
            change = Change(ChangeType.FILE, path, str(serial))
        self._not_directories.add(hash(path))
        self._additions.append(change)

    def _linked_file(self, link: str, path: str) -> str:
        """Return the path of the file that the hard link at `path` leads to.

        Raises `DamagedInputError` where this layer has not put a file there before. Engines unpack
        a layer by itself, where the link then fails; those that unpack it into a copy of the lower
        layers find a file of theirs. Tried with containerd's overlay snapshotter (Docker 28.5).
        """
        parent, _, name = clean(link).rpartition("/")
        target = _joined(self._resolved(parent), name)
        if target == path or hash(target) not in self._not_directories:
            raise DamagedInputError(
                f"{self._where} has the hard link {path!r} to {target!r}, which it does not hold "
                "before it: container engines cannot unpack it."
            )
        return target

    def _resolved(self, directory: str) -> str:
        """Return the path of `directory` after the links that this layer made."""
        known = self._parents.get(directory)
        if known is None:
            links = self._links
            known = follow(directory, links.get, self._where) if links else directory
            self._add_directory(known)
            if len(self._parents) > 10_000:
                self._parents = {"": ""}
            self._parents[directory] = known
        return known

    def _add_directory(self, path: str) -> None:
        """Note a directory; refuse a layer that has put something else there before.

        Whether such a directory still shows what lower layers have in it would depend on how the
        layer is unpacked, so there is no telling what the image holds.
        """
        while path:
            if hash(path) in self._not_directories:
                raise DamagedInputError(
                    f"{self._where} holds {path!r} twice, as a directory and as something else."
                )
            self._directories.add(hash(path))
            path = path.rpartition("/")[0]


def clean(name: str) -> str:
    """Return `name` as a path below the root: no dots, no empty parts, never above the root."""
    if "." not in name and "//" not in name:
        return name.strip("/")
    parts: list[str] = []
    for part in name.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in {"", "."}:
            parts.append(part)
    return "/".join(parts)


def follow(path: str, link_at: Callable[[str], str | None], where: str) -> str:
    """Return where `path` leads when every link of it is followed, within the root.

    `link_at` gives the target of the link at a path, or None where there is none. Raises
    `DamagedInputError` for links that go in circles.
    """
    done: list[str] = []
    left = path.split("/")[::-1] if path else []
    followed = 0
    while left:
        part = left.pop()
        if part in {"", "."}:
            continue
        if part == "..":
            del done[-1:]
            continue
        done.append(part)
        target = link_at("/".join(done))
        if target is None:
            continue
        followed += 1
        if followed > _MAX_LINKS:
            raise DamagedInputError(f"{where} has symbolic links that go in circles at {path!r}.")
        done = [] if target.startswith("/") else done[:-1]
        left.extend(target.split("/")[::-1])
    return "/".join(done)


def _joined(parent: str, name: str) -> str:
    return f"{parent}/{name}" if parent and name else parent or name


class _Log:
    """A list of changes, compressed: a layer can hold a million, and most are looked at once."""

    __slots__ = ("_compressor", "_fresh", "_packed")

    def __init__(self) -> None:
        self._fresh: list[str] = []
        self._packed = bytearray()
        self._compressor = zstandard.ZstdCompressor(level=1).compressobj()

    def append(self, change: Change) -> None:
        self._fresh.append(f"{change.type.value}{change.path}\0{change.detail}\0")
        if len(self._fresh) >= _LOG_BATCH:
            self._pack()

    def close(self) -> None:
        self._pack()
        self._packed += self._compressor.flush()

    def changes(self) -> Iterator[Change]:
        rest = b""
        for part in zstandard.ZstdDecompressor().read_to_iter(bytes(self._packed)):
            *fields, rest = (rest + part).split(b"\0")
            if len(fields) % 2:
                rest = fields.pop() + b"\0" + rest
            texts = (field.decode("utf-8", "surrogateescape") for field in fields)
            for path, detail in zip(texts, texts, strict=True):
                yield Change(ChangeType(path[0]), path[1:], detail)

    def _pack(self) -> None:
        records = "".join(self._fresh).encode("utf-8", "surrogateescape")
        self._packed += self._compressor.compress(records)
        self._fresh.clear()
