"""Fetches an sdist the way pip would: same indexes, proxies, certificates and credentials.

``pip download`` itself would also run the sdist's metadata hooks, which for vLLM import torch, so
pip's own finder and session are used (`smforge.fetching`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from smforge.errors import ToolError
from smforge.fetching.download import Wanted, download
from smforge.fetching.pip_tools import PipTools, pip_tools


def fetch_sdist(name: str, version: str, into: Path, sha256: str | None = None) -> Path:
    """Download a release's sdist into a directory and return it; one that is there is kept.

    With `sha256` it lies in a directory of that name, so that what was fetched before needs no
    index, and what arrives has to have that digest.

    Raises `ToolError` when pip is missing, the index has no such sdist or does not answer, and
    `DamagedInputError` when what arrives is not what the index announced or the caller wants.
    """
    place = into if sha256 is None else into / sha256
    if sha256 is not None and (kept := next(place.glob("*.tar.gz"), None)) is not None:
        return kept
    with pip_tools(["--no-deps", "--no-binary", name]) as tools:
        link = _find(tools, name, version)
        archive = place / str(link.filename)
        if not archive.exists():
            announced = () if link.hash is None else ((link.hash_name, link.hash),)
            pinned = () if sha256 is None else (("sha256", sha256),)
            # Which indexes are trusted, pip's settings say.
            wanted = Wanted(
                link.url_without_fragment, link.filename, (*announced, *pinned), secure=False
            )
            new, _ = download(tools.session, wanted, place)
            new.rename(archive)
    return archive


def _find(tools: PipTools, name: str, version: str) -> Any:
    from packaging.utils import canonicalize_name  # noqa: PLC0415
    from pip._vendor.packaging.specifiers import SpecifierSet  # noqa: PLC0415

    result = tools.finder().find_best_candidate(
        canonicalize_name(name), SpecifierSet(f"=={version}")
    )
    if result.best_candidate is None:
        raise ToolError(
            f"The package index has no sdist of {name} {version}, or does not answer.",
            remedy="Check pip's index settings, or name the sources with --source.",
        )
    return result.best_candidate.link
