"""How thoroughly to read."""

# Not postponed: NamedTuple compiles every annotation that is, and that shows at the start.
from typing import NamedTuple

from smforge.inventory.formats.limits import Limits
from smforge.progress import SILENT, Progress


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
    """Which image of an index to read, and which wheel of a release: ``linux/arm64``."""
    python: str | None = None
    """The Python that a wheel of a release is for: ``3.12``. None for the version in use."""
    index_url: str | None = None
    """The package index of releases; None for those that pip uses here."""
    ask_assemblers: bool = False
    """Run the assemblers of the subject, confined, to have them list their targets."""
    packages: bool = True
    """Whether wheels and image layouts in a folder are read; False where each is a subject of its
    own."""
    progress: Progress = SILENT
    """Hears what is being fetched and read, from several threads."""
