"""Fetches a wheel that is pinned by its SHA-256, through pip's command.

pip knows the site's indexes, proxies and credentials. `smforge.fetching` uses pip's finder to
choose a release; here the release and the file are known, so the public command is enough.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from smforge.bake.inputs.origin import Origin, last_line
from smforge.extras import require_build_extra


def download_pinned(
    pinned: str, origin: Origin, file: Path, flags: Sequence[str] = ()
) -> str | None:
    """Fetch a wheel to `file`, whose folder must be empty; the result is why it cannot be had.

    `pinned` is a line of a requirements file: ``vllm==0.33.0 --hash=sha256:…``. None is returned
    where the file is there. Raises `ToolError` without pip.
    """
    require_build_extra("Fetching sources", "pip")
    requirement = file.with_name("wheel.txt")
    requirement.write_text(f"{pinned}\n", encoding="utf-8")
    command = (
        # -P: a pip.py in the current directory must not take pip's place.
        sys.executable, "-P", "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
        "--no-deps", "--only-binary=:all:", "--require-hashes", *flags,
        "--dest", str(file.parent), "--requirement", str(requirement),
    )  # fmt: skip
    environment = dict(os.environ)
    if origin.ca_bundle is not None:
        environment["PIP_CERT"] = str(origin.ca_bundle)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode == 0 and file.is_file():
        return None
    return last_line(done.stderr) or f"pip brought no {file.name}"
