"""Shows progress while a command takes long.

The command line shows it (`smforge.cli.progress`); everything else only tells it.
"""

from __future__ import annotations

from collections.abc import Callable

Extent = Callable[[], tuple[int, int | None]]
"""Gives how much is done, and of how much; None where that is not known. It may be called from
another thread, at any time."""


class Progress:
    """Hears what is being done, and says nothing about it."""

    def task(self, doing: str, extent: Extent | None = None, *, unit: str = "B") -> None:
        """Something new begins: ``reading``, ``fetching x.whl``. `unit` is B for bytes."""

    def item(self, name: str) -> None:
        """The task has come to this: a library."""

    def note(self, text: str) -> None:
        """Something is not as it should be, and the work goes on."""


class AnnouncedItems(Progress):
    """Says each item as a line of its own, where nothing else shows progress."""

    def __init__(self, announce: Callable[[str], None]) -> None:
        self._announce = announce

    def item(self, name: str) -> None:
        if name:
            self._announce(name)

    def note(self, text: str) -> None:
        self._announce(text)


SILENT = Progress()
