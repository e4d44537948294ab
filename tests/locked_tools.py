"""Tools that tests need and the project does not: an environment of a lock file each, made once."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

_KEPT = Path(__file__).parents[1] / ".smforge" / "toolchains"


def installed(lock: Path, name: str) -> Path:
    """The folder with what `lock` names, installed when it is not there yet."""
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
    kept = _KEPT / f"{name}-{digest}"
    if not kept.is_dir():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as scratch:
            pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
            locked = ("--require-hashes", "--only-binary=:all:", "-r", lock)
            subprocess.run((*pip, *locked, "--target", f"{scratch}/made"), check=True)
            Path(scratch, "made").rename(kept)
    return kept
