"""A bump from end to end: looked up, compared, and written whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from smforge.bake.inputs.origin import Origin
from smforge.fetching.index import package_index
from smforge.matrix.place import build_root
from smforge.preflight.cache import Cache
from smforge.workflow.bumping.draft import Means
from smforge.workflow.bumping.locks import stale_locks
from smforge.workflow.bumping.losses import compare, unexamined
from smforge.workflow.bumping.proposal import propose
from smforge.workflow.bumping.rendering import Bump
from smforge.workflow.bumping.writing import write_all


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be bumped."""

    matrix: Path | None
    """None for versions.json of the current directory."""
    source: str
    """A component, ``torch`` or ``toolkit``."""
    version: str | None
    """None for the newest."""
    write: bool
    compare: bool
    """Whether the devices are compared with the release before."""


def bump(request: Request, cache: Cache, origin: Origin, announce: Callable[[str], None]) -> Bump:
    """Carry a request out. Nothing is written where anything before that fails.

    Raises `UsageError` for a release that no index has, `ConfigurationError` for a matrix that
    would contradict itself, `ToolError` where the index or the sources cannot be read.
    """
    with package_index() as index:
        means = Means(index, cache, origin, announce)
        proposal = propose(request.matrix, means, request.source, request.version)
    components = compare(proposal, cache, announce) if request.compare else None
    root = build_root(proposal.before.path)
    # A matrix from elsewhere, which is built with the project of the current directory, has no
    # locks of its own.
    own = proposal.before.path.resolve().is_relative_to(root)
    before, after = proposal.before.document, proposal.after.document
    locks = stale_locks(root, before, after) if own else ()
    left_out = unexamined(proposal)
    written = request.write and bool(proposal.changes)
    if written:
        texts = {proposal.before.path: proposal.text}
        write_all(texts | {one.pyproject: one.text for one in locks})
    return Bump(proposal, components, left_out, locks, root, written)
