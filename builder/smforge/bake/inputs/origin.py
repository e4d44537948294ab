"""Where a site gets the sources of other projects from, and what is said when it cannot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from smforge.errors import BuildFailedError
from smforge.plan.records import PlannedExternal


@dataclass(frozen=True, slots=True)
class Origin:
    """Where this site gets sources from."""

    mirror: Path | None = None
    """A directory that has everything; None for the projects' own places."""
    ca_bundle: Path | None = None
    """Certificates to trust; None for those that the host's tools trust anyway."""
    project: Path | None = None
    """The directory of the matrix, which paths of files start from."""


def unreachable(external: PlannedExternal, why: str) -> BuildFailedError:
    """The error where sources cannot be fetched and nothing better is known."""
    return BuildFailedError(
        f"The sources of {external.name} ({external.release or external.location}) cannot be "
        f"fetched from {external.location}: {why}.",
        remedy="Check the network, or name a directory that has them with SMFORGE_SOURCES_MIRROR.",
    )


def last_line(text: str) -> str:
    """The last line of a program's output, without its full stop."""
    lines = text.strip().splitlines()
    return lines[-1].strip().rstrip(".") if lines else ""


def in_mirror(mirror: Path, names: Sequence[str], what: str, original: str) -> Path:
    """The file of a mirror with one of these names, its own and its SHA-256.

    Raises `BuildFailedError` where there is none; `what` it is and where the `original` comes from
    are for its message.
    """
    for candidate in (mirror / name for name in names):
        if candidate.is_file():
            return candidate
    first, *others = names
    raise BuildFailedError(
        f"{mirror} has no {first}, {what}, and no file named {' or '.join(others)}.",
        remedy=f"Put a copy of {original} there.",
    )
