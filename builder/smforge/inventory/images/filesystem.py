"""The final file system of an image, as far as an audit needs it: read files and links."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TypeAlias

from smforge.errors import DamagedInputError
from smforge.inventory.images.layer_changes import Change, ChangeType, LayerChanges, clean, follow


@dataclass(frozen=True, slots=True)
class _File:
    serial: int


@dataclass(frozen=True, slots=True)
class _Symlink:
    target: str


_Node: TypeAlias = "_File | _Symlink | _Directory"


class _Directory(dict[str, _Node]):
    """Holds only entries that lead to a read file or a link; an empty one is no entry."""


class FinalFiles:
    """Puts layers over one another, lowest first, as an overlay file system does."""

    def __init__(self) -> None:
        self._root = _Directory()

    def apply(self, layer: LayerChanges) -> None:
        """Put `layer` over those applied before."""
        for change in layer.removals():
            self._remove(change)
        for change in layer.additions():
            self._add(change)

    def paths(self) -> dict[int, tuple[str, ...]]:
        """Return the paths of each read file, sorted; files that have no path are left out."""
        found: defaultdict[int, list[str]] = defaultdict(list)
        pending: list[tuple[str, _Directory]] = [("", self._root)]
        while pending:
            prefix, directory = pending.pop()
            for name, node in directory.items():
                if isinstance(node, _Directory):
                    pending.append((f"{prefix}{name}/", node))
                elif isinstance(node, _File):
                    found[node.serial].append(prefix + name)
        return {serial: tuple(sorted(paths)) for serial, paths in found.items()}

    def resolve(self, path: str) -> str | None:
        """Return the path that `path` leads to through links; None if they form a circle."""

        def link_at(place: str) -> str | None:
            node = self._at(place)
            return node.target if isinstance(node, _Symlink) else None

        try:
            return follow(clean(path), link_at, "The image")
        except DamagedInputError:
            return None

    def _at(self, path: str) -> _Node | None:
        node: _Node | None = self._root
        for name in path.split("/"):
            if not isinstance(node, _Directory):
                return None
            node = node.get(name)
        return node

    def _remove(self, change: Change) -> None:
        parent, _, name = change.path.rpartition("/")
        if change.type is ChangeType.EMPTY:
            directory = self._at(change.path) if change.path else self._root
            if isinstance(directory, _Directory):
                directory.clear()
            elif directory is not None and change.path:
                self._discard(parent, name)
        else:
            self._discard(parent, name)

    def _discard(self, parent: str, name: str) -> None:
        directory = self._at(parent) if parent else self._root
        if isinstance(directory, _Directory):
            directory.pop(name, None)

    def _add(self, change: Change) -> None:
        node = self._node_of(change)
        *parents, name = change.path.split("/")
        directory = self._root
        for parent in parents:
            child = directory.get(parent)
            if not isinstance(child, _Directory):
                # A directory replaces anything else that lower layers have there.
                if node is None:
                    directory.pop(parent, None)
                    return
                child = directory[parent] = _Directory()
            directory = child
        if node is not None:
            directory[name] = node
        elif change.type is not ChangeType.DIRECTORY or not isinstance(
            directory.get(name), _Directory
        ):
            directory.pop(name, None)

    def _node_of(self, change: Change) -> _File | _Symlink | None:
        match change.type:
            case ChangeType.FILE:
                return _File(int(change.detail))
            case ChangeType.SYMLINK:
                return _Symlink(change.detail)
            case ChangeType.HARDLINK:
                node = self._at(change.detail)
                return None if isinstance(node, _Directory) else node
            case _:
                return None
