"""Checkouts of external projects that a user gives: whether they can be used, and their commit."""

from __future__ import annotations

import difflib
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from smforge.errors import UsageError

_COMMIT = re.compile(r"[0-9a-f]{40}\Z")
_GIT_SECONDS = 30


def open_checkout(name: str, path: Path) -> Path:
    """The directory that is given for a project, without links.

    Raises `UsageError` where there is nothing to look at: no directory, an empty one, or a bare
    repository.
    """
    remedy = f"Name a checkout of {name}."
    if not path.is_dir():
        raise UsageError(f"{path}, given for {name}, is not a directory.", remedy=remedy)
    root = path.resolve()
    if (root / "HEAD").is_file() and (root / "objects").is_dir() and (root / "refs").is_dir():
        raise UsageError(
            f"{path}, given for {name}, is a bare git repository, which has no files to look at.",
            remedy=f"Check it out first: git clone {path} DIRECTORY.",
        )
    if not any(file.is_file() for top in _tops(root) for file in (top, *top.rglob("*"))):
        raise UsageError(f"{path}, given for {name}, holds no files.", remedy=remedy)
    return root


def require_known(given: Iterable[str], fetched: Iterable[str]) -> None:
    """Raise `UsageError` for a name that is none of the projects which the sources fetch."""
    known = sorted(fetched)
    for name in given:
        if name in known:
            continue
        if not known:
            raise UsageError(
                f"These sources fetch no other project, and {name} is given as one.",
                remedy="Leave --external out.",
            )
        near = difflib.get_close_matches(name, known, n=1)
        raise UsageError(
            f"These sources fetch no project {name}; they fetch {', '.join(known)}.",
            remedy=f"Did you mean {near[0]}?" if near else "Name one of these.",
        )


def commit_of(checkout: Path) -> str | None:
    """The commit that is checked out; None where the directory is no checkout of its own."""
    return _revision(checkout, "HEAD") if (checkout / ".git").exists() else None


def difference(checkout: Path, revision: str | None) -> str | None:
    """How a checkout differs from the revision that sources ask for; None where nothing says so.

    A directory without a repository, and a tag that the checkout does not have, say nothing.
    """
    commit = commit_of(checkout)
    if commit is None or revision is None:
        return None
    wanted = revision if _COMMIT.match(revision) else _revision(checkout, f"refs/tags/{revision}")
    if wanted is None or wanted == commit:
        return None
    return f"the checkout that is given is at {commit}, and these sources ask for {revision}"


def _revision(checkout: Path, name: str) -> str | None:
    command = ("git", "-C", str(checkout), "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_GIT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def _tops(root: Path) -> Iterable[Path]:
    return (top for top in root.iterdir() if top.name != ".git")
