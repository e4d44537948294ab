"""What only the payload of a code object tells."""

# Not postponed: NamedTuple compiles every annotation that is, and that shows at the start.
from typing import NamedTuple

from smforge.arch.target import Target


class Contents(NamedTuple):
    """What was read of a payload; None for what was not read, or is not there."""

    target: Target | None = None
    """What it was made for, with `Suffix.UNKNOWN` where the part that was read does not tell."""
    isa: tuple[int, int] | None = None
    """The version of the language of PTX: (9, 0)."""
    kernels: tuple[str, ...] | None = None
    """Mangled entry names, sorted, each once."""
    source: str | None = None
    """The name of the file that the translation unit was compiled from."""
    toolkit: str | None = None
    """The release of CUDA that made it: ``13.0``."""


NOT_READ = Contents()
