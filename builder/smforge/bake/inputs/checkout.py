"""Git checkouts: the one that a build's definition comes from, and trees that are built."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from packaging.version import Version

from smforge.bake.record import Checkout
from smforge.errors import UsageError

_DESCRIBE = (
    "describe", "--tags", "--long", "--dirty", "--abbrev=9", "--match", "v[0-9]*",
)  # fmt: skip
"""As vLLM's setup.py describes a commit: tags of its crates are not those of its releases."""
_DESCRIBED = re.compile(
    r"v(?P<tag>\d[\w.]*)-(?P<distance>\d+)-g(?P<commit>[0-9a-f]+)(?P<dirty>-dirty)?\Z"
)


def checkout_of(root: Path) -> Checkout | None:
    """The git commit of `root`, or None where there is no checkout or no git."""
    commit = _git(root, "rev-parse", "HEAD")
    if not commit:
        return None
    return Checkout(commit=commit, dirty=bool(_git(root, "status", "--porcelain", "-uno")))


def revision_of(root: Path) -> str | None:
    """The commit as a label has it: ``…-dirty`` where files differ from it."""
    found = checkout_of(root)
    if found is None:
        return None
    return f"{found.commit}-dirty" if found.dirty else found.commit


def version_of(tree: Path) -> str:
    """The version of a tree that is built, counted from its nearest release tag.

    As setuptools-scm counts in the build, with fewer digits of the commit: ``0.33.0`` at the tag,
    ``0.33.1.dev7+g0a1b2c3d4`` seven commits later, ``….dirty`` where files differ. Raises
    `UsageError` where git finds no such tag, since the build would end there too.
    """
    described = _git(tree, *_DESCRIBE)
    found = _DESCRIBED.match(described or "")
    if found is None:
        raise UsageError(
            f"{tree} is no git checkout with a release tag (v1.2.3) in its history, and its "
            "version is counted from there.",
            remedy="Name a checkout with its history and tags: git fetch --unshallow --tags.",
        )
    tag, distance = Version(found["tag"]), int(found["distance"])
    if not distance and not found["dirty"]:
        return str(tag)
    dirty = ".dirty" if found["dirty"] else ""
    return f"{_next(tag)}.dev{distance}+g{found['commit']}{dirty}"


def _next(tag: Version) -> str:
    """The version after a tag: its last number goes up by one (setuptools-scm, guess-next-dev)."""
    return re.sub(r"\d+\Z", lambda number: str(int(number[0]) + 1), str(tag))


def _git(root: Path, *arguments: str) -> str | None:
    # A checkout may belong to somebody else; git would refuse to look at it.
    trusted = ("-c", f"safe.directory={root.resolve()}")
    try:
        done = subprocess.run(
            ("git", *trusted, "-C", str(root), *arguments),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
