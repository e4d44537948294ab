"""NVIDIA's assembler of a named toolkit: found, or fetched from the package index by its digest."""

from __future__ import annotations

import json
import platform
import re
import shutil
import subprocess
import tempfile
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from smforge.arch.target import Target
from smforge.arch.toolkits import Toolkit, toolkit, toolkits
from smforge.errors import DamagedInputError, ToolError, UsageError
from smforge.fetching import wheels
from smforge.files import sha256_of, this_or_temporary
from smforge.progress import SILENT, Progress

_DATA: Final = Path(__file__).parent / "data" / "assemblers.json"
_RELEASE: Final = re.compile(r"V(\d+\.\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class Assembler:
    """A ptxas that is here."""

    toolkit: Toolkit
    path: Path
    version: str
    """As it says itself: ``13.0.88``."""


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(_DATA.read_text(encoding="utf-8"))
    return table


def offered() -> tuple[str, ...]:
    """The toolkits whose assembler can be fetched, oldest first."""
    return tuple(row["toolkit"] for row in _table()["assemblers"])


@cache
def option_forms() -> tuple[re.Pattern[str], ...]:
    """The options that may be handed on from a file to the assembler."""
    return tuple(re.compile(form) for form in _table()["options"]["forms"])


def toolkit_for(isa: str, target: Target) -> Toolkit:
    """Return the oldest toolkit that reads PTX of a version and assembles for a target.

    The oldest one, because its machine code runs on the oldest drivers. Raises `UsageError` where
    none can be fetched.
    """
    wanted = _numbers(isa)
    for one in toolkits():
        reads = _numbers(one.ptx_isa) >= wanted
        if one.version in offered() and reads and one.knows(target):
            return one
    raise UsageError(
        f"No available assembler reads PTX {isa} and knows {target.sm}.",
        remedy=f"Toolkits that can be fetched: {', '.join(offered())}. Name a ptxas with --ptxas.",
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def local_assembler(path: Path) -> Assembler:
    """Return the ptxas at a path. Raises `ToolError` where it does not say its release."""
    try:
        done = subprocess.run(
            (str(path), "--version"), capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(f"{path} cannot be run: {error}.", remedy="Name a ptxas.") from error
    found = _RELEASE.search(done.stdout)
    if done.returncode or found is None:
        raise ToolError(f"{path} does not say which release it is.", remedy="Name a ptxas.")
    return Assembler(toolkit(found[1]), path, f"{found[1]}.{found[2]}")


def fetched_assembler(version: str, cache_folder: Path, progress: Progress = SILENT) -> Assembler:
    """Return the assembler of a toolkit, fetched once into the cache folder.

    Raises `UsageError` for a toolkit that the table lacks, `ToolError` where it cannot be fetched,
    and `DamagedInputError` where the index has another file of that name.
    """
    row = next((one for one in _table()["assemblers"] if one["toolkit"] == version), None)
    if row is None:
        raise UsageError(
            f"The assembler of CUDA {version} cannot be fetched.",
            remedy=f"Toolkits that can: {', '.join(offered())}. Name a ptxas with --ptxas.",
        )
    digest = row["sha256"].get(platform.machine())
    if digest is None:
        raise ToolError(
            f"There is no ptxas of CUDA {version} for {platform.machine()}.",
            remedy="Run this on x86_64 or aarch64, or name a ptxas with --ptxas.",
        )
    place = cache_folder / "assemblers" / f"{version}-{digest[:16]}" / "ptxas"
    if not place.exists():
        place = this_or_temporary(place.parent, progress.note) / "ptxas"
        _fetch(row["requirement"], digest, row["path"], place, progress)
    return local_assembler(place)


def _fetch(requirement: str, digest: str, member: str, place: Path, progress: Progress) -> None:
    wheel = wheels.fetch_wheel(requirement, wheels.Target(), progress).path
    if (found := sha256_of(wheel)) != digest:
        raise DamagedInputError(
            f"{requirement} has the SHA-256 {found}, and {digest} is wanted.",
            remedy="Check pip's index settings, or name a ptxas with --ptxas.",
        )
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".fetching-") as work:
        new = Path(work) / "ptxas"
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(member) as source,
            new.open("wb") as to,
        ):
            shutil.copyfileobj(source, to)
        new.chmod(0o755)
        new.replace(place)
