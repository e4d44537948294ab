"""Fetches an sdist the way pip would: same indexes, proxies, certificates and credentials.

``pip download`` itself would also run the sdist's metadata hooks, which for vLLM import torch, so
pip's own finder and session are used. They are internal to pip; what is used of them is confined
to this module, and `tests/preflight/test_released.py` fetches for real.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
from pathlib import Path
from typing import Any

from smforge.errors import DamagedInputError, ToolError
from smforge.extras import from_build_extra

_CHUNK = 1 << 20


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
    with from_build_extra("Fetching sources"):
        from pip._internal.commands import create_command  # noqa: PLC0415
    # pip's warnings are about the site's settings; what fails is said by the errors below.
    logging.getLogger("pip").addHandler(logging.NullHandler())
    command: Any = create_command("download")
    options, _ = command.parse_args(["--no-deps", "--no-binary", name, "--quiet"])
    with command.main_context():
        session = command.get_default_session(options)
        link = _find(command, options, session, name, version)
        archive = place / link.filename
        if not archive.exists():
            _download(session, link, archive, sha256)
    return Path(archive)


def _find(command: Any, options: Any, session: Any, name: str, version: str) -> Any:
    from packaging.utils import canonicalize_name  # noqa: PLC0415
    from pip._vendor.packaging.specifiers import SpecifierSet  # noqa: PLC0415

    finder = command._build_package_finder(options=options, session=session)
    result = finder.find_best_candidate(canonicalize_name(name), SpecifierSet(f"=={version}"))
    if result.best_candidate is None:
        raise ToolError(
            f"The package index has no sdist of {name} {version}, or does not answer.",
            remedy="Check pip's index settings, or name the sources with --source.",
        )
    return result.best_candidate.link


def _download(session: Any, link: Any, archive: Path, sha256: str | None) -> None:
    archive.parent.mkdir(parents=True, exist_ok=True)
    announced = hashlib.new(link.hash_name or "sha256")
    digest = hashlib.sha256()
    response = session.get(
        link.url_without_fragment, stream=True, headers={"Accept-Encoding": "identity"}
    )
    if response.status_code >= 400:
        raise ToolError(
            f"The package index answered {response.status_code} for {link.filename}.",
            remedy="Check pip's index settings, or name the sources with --source.",
        )
    with tempfile.NamedTemporaryFile(dir=archive.parent, prefix=".new-", delete=False) as new:
        try:
            for chunk in response.raw.stream(_CHUNK, decode_content=False):
                announced.update(chunk)
                digest.update(chunk)
                new.write(chunk)
            if link.hash is not None and announced.hexdigest() != link.hash:
                raise DamagedInputError(
                    f"{link.filename} arrived with another digest than the index announces.",
                    remedy="Try again; if it happens again, do not use this index.",
                )
            if sha256 is not None and digest.hexdigest() != sha256:
                raise DamagedInputError(
                    f"{link.filename} has the SHA-256 {digest.hexdigest()}, and {sha256} is "
                    "pinned.",
                    remedy="Find out which is right before anything of it is used.",
                )
            new.flush()
            Path(new.name).rename(archive)
        except BaseException:
            Path(new.name).unlink(missing_ok=True)
            raise
