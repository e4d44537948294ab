"""Fetches one file of the package index that the matrix names.

pip's own session is used (`smforge.fetching`), which knows the site's indexes, proxies and
credentials. ``pip download`` would run what an sdist holds, and chooses only wheels that suit a
platform; here the file is known.
"""

from __future__ import annotations

from pathlib import Path

from smforge.bake.inputs.origin import Origin
from smforge.errors import DamagedInputError, ToolError
from smforge.fetching.index import package_index


def download_of_index(distribution: str, origin: Origin, file: Path) -> str | None:
    """Fetch the file of that name to `file`; the result is why it cannot be had.

    None is returned where it is there; the caller compares its SHA-256 with the pin.
    """
    certificates = [] if origin.ca_bundle is None else ["--cert", str(origin.ca_bundle)]
    try:
        with package_index(certificates) as index:
            found = next((one for one in index.files(distribution) if one.name == file.name), None)
            if found is None:
                return f"the package index has no {file.name}, or does not answer"
            index.fetch(found, file)
    except (ToolError, DamagedInputError) as error:
        return str(error).rstrip(".")
    return None
