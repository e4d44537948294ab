"""The git checkout that a build's definition comes from."""

from __future__ import annotations

import subprocess
from pathlib import Path

from smforge.bake.record import Checkout


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


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ("git", "-C", str(root), *arguments),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
