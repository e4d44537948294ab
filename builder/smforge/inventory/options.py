"""How thoroughly to read."""

# Not postponed: NamedTuple compiles every annotation that is, and that shows at the start.
from collections.abc import Callable
from typing import NamedTuple

from smforge.inventory.formats.limits import Limits


def _silent(path: str, position: int) -> None:
    """Report no progress."""


class ReadOptions(NamedTuple):
    """What to read, and limits for it."""

    names: bool = True
    """Read kernel names and source files. Without them nothing is decompressed."""
    digests: bool = True
    """Hash the files with GPU code, and the subject."""
    workers: int | None = None
    """How many threads unpack code objects; None takes one per usable CPU, two at most."""
    limits: Limits = Limits()
    platform: str | None = None
    """Which image of an index to read: ``linux/arm64``. Needed where there are several."""
    ask_assemblers: bool = False
    """Run the assemblers of the subject, confined, to have them list their targets."""
    packages: bool = True
    """Whether wheels and image layouts in a folder are read; False where each is a subject of its
    own."""
    progress: Callable[[str, int], None] = _silent
    """Called with a member's path and its number before it is read, from one thread."""
