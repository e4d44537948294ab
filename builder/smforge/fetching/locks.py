"""What pip would install for requirements: its resolver is asked, and nothing is installed.

Format: pip's installation report, version 1.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from smforge.errors import ToolError, UsageError
from smforge.fetching.wheels import Target
from smforge.progress import SILENT, Progress


@dataclass(frozen=True, slots=True)
class Pinned:
    """One distribution that would be installed."""

    release: str
    """``vllm==0.33.0``."""
    place: str
    """The path of its wheel on this host, or its address with ``#sha256=``."""


def resolve(
    files: Sequence[Path], target: Target, progress: Progress = SILENT
) -> tuple[Pinned, ...]:
    """Return what requirements files install on the target, sorted by name.

    pip evaluates conditions such as ``platform_machine`` for this host and this Python, whatever
    the target is. Raises `UsageError` for a file that is not there, and `ToolError` where pip finds
    no solution or does not run.
    """
    for file in files:
        if not file.is_file():
            raise UsageError(f"{file} does not exist, or is no file.")
    names = ", ".join(str(file) for file in files)
    progress.task(f"resolving {names}")
    with tempfile.TemporaryDirectory(prefix="smforge-") as folder:
        report = Path(folder) / "report.json"
        done = subprocess.run(
            (
                sys.executable, "-P", "-m", "pip", "install", "--dry-run", "--ignore-installed",
                "--quiet", "--disable-pip-version-check", "--no-input", "--report", report,
                *target.arguments(), *(word for file in files for word in ("-r", file)),
            ),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode or not report.is_file():
            said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            last = (said or done.stderr.strip().splitlines() or ["it says nothing"])[-1]
            raise ToolError(
                f"pip cannot resolve {names} for {target.words}: {last.removeprefix('ERROR: ')}",
                remedy="Check the file and pip's index settings; every package needs a wheel.",
            )
        document = json.loads(report.read_text(encoding="utf-8"))
    return tuple(sorted(map(_pinned, document["install"]), key=lambda one: one.release))


def _pinned(entry: dict[str, dict[str, str]]) -> Pinned:
    metadata, source = entry["metadata"], entry["download_info"]
    url = source["url"]
    if urlsplit(url).scheme == "file":
        place = unquote(urlsplit(url).path)
    else:
        archive: object = source.get("archive_info", {})
        hashes = archive.get("hashes", {}) if isinstance(archive, dict) else {}
        place = f"{url}#sha256={hashes['sha256']}" if "sha256" in hashes else url
    return Pinned(f"{metadata['name']}=={metadata['version']}", place)
