"""Source trees and sdists: whose they are, and a private copy of what a build would read.

The tree that a user names is only ever read. Hidden directories (.git, .deps, .venv) and those of
data/sources.json take no part.
"""

from __future__ import annotations

import errno
import hashlib
import json
import re
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from packaging.utils import canonicalize_name

from smforge.errors import DamagedInputError, ToolError, UsageError
from smforge.files import sha256_of
from smforge.preflight.records import SourceIdentity

_DATA = Path(__file__).parent / "data" / "sources.json"
_FIELD = re.compile(r"^(?P<key>Name|Version): (?P<value>\S+)\s*$", re.MULTILINE)
_REMEDY = "Name an unpacked tree, a git checkout or an sdist (.tar.gz) of vLLM or FlashInfer."
_CANNOT_WRITE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM})


class Project(StrEnum):
    """Whose build can be examined."""

    VLLM = "vllm"
    FLASHINFER = "flashinfer"


@dataclass(frozen=True, slots=True)
class Source:
    """A tree or an archive that holds a project's sources."""

    path: Path
    project: Project
    identity: SourceIdentity
    archive: bool


def distribution(project: Project) -> str:
    """What a package index calls a project's sources."""
    return str(_projects()[project]["distributions"][0])


def open_source(path: Path) -> Source:
    """Identify what `path` holds.

    Raises `UsageError` when the sources are not known ones, `DamagedInputError` when an archive
    cannot be read.
    """
    if path.is_dir():
        return _open_tree(path)
    if path.is_file():
        return _open_archive(path)
    raise UsageError(f"There is no {path}.", remedy=_REMEDY)


def copy_inputs(source: Source, into: Path) -> None:
    """Lay the build inputs out in `into`, which must exist and be empty."""
    if source.archive:
        _unpack(source, into)
        return
    for file in _tree_files(source.path, source.project):
        relative = file.relative_to(source.path)
        (into / relative).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, into / relative)


def takes_part(relative: PurePosixPath, project: Project) -> bool:
    """Whether configuring may read a file, by its path below the tree."""
    if len(relative.parts) < 2:
        return True
    top = relative.parts[0]
    return not top.startswith(".") and top not in _left_out(project)


def require_project(root: Path, project: Project, named: Path) -> None:
    """Raise `UsageError` unless `root` has what marks the project; `named` is what users see."""
    for mark in _projects()[project]["marks"]:
        if not (root / mark).exists():
            raise UsageError(
                f"{named} does not hold {project} sources: it has no {mark}.", remedy=_REMEDY
            )


def _open_tree(root: Path) -> Source:
    project = next((one for one in Project if _has_marks(root, one)), None)
    if project is None:
        missing = next(
            mark for mark in _projects()[Project.VLLM]["marks"] if not (root / mark).exists()
        )
        raise UsageError(
            f"{root} holds neither vLLM's nor FlashInfer's sources: it has no {missing}.",
            remedy=_REMEDY,
        )
    digest = hashlib.sha256()
    for file in _tree_files(root, project):
        digest.update(f"{file.relative_to(root).as_posix()}\0{sha256_of(file)}\n".encode())
    record = root / "PKG-INFO"
    text = record.read_text(encoding="utf-8", errors="replace") if record.is_file() else ""
    name, version = _metadata(text)
    identity = SourceIdentity(name or project.value, version, f"sha256:{digest.hexdigest()}")
    return Source(root, project, identity, archive=False)


def _has_marks(root: Path, project: Project) -> bool:
    return all((root / mark).exists() for mark in _projects()[project]["marks"])


def _open_archive(path: Path) -> Source:
    name, _, version = path.name.removesuffix(".tar.gz").rpartition("-")
    distribution = canonicalize_name(name)
    project = next(
        (one for one in Project if distribution in _projects()[one]["distributions"]), None
    )
    if project is None:
        raise UsageError(f"{path.name} is not named as a known sdist.", remedy=_REMEDY)
    identity = SourceIdentity(name, version, f"sha256:{sha256_of(path)}")
    return Source(path, project, identity, archive=True)


def _tree_files(root: Path, project: Project) -> Iterator[Path]:
    """The build inputs of a tree, sorted; links are followed, dangling ones left out."""
    for top in sorted(root.iterdir()):
        if top.is_dir():
            if takes_part(PurePosixPath(top.name, "x"), project):
                yield from (file for file in sorted(top.rglob("*")) if file.is_file())
        elif top.is_file():
            yield top


def _unpack(source: Source, into: Path) -> None:
    """Unpack the build inputs, without the top directory that every sdist has."""
    try:
        with _gunzip(source.path) as stream, tarfile.open(fileobj=stream, mode="r|") as members:
            for member in members:
                relative = PurePosixPath(*PurePosixPath(member.name).parts[1:])
                if (
                    not member.isfile()
                    or not relative.parts
                    or not takes_part(relative, source.project)
                ):
                    continue
                renamed = member.replace(name=str(relative), deep=False)
                members.extract(renamed, into, set_attrs=False, filter="data")
    except (OSError, EOFError, tarfile.TarError) as error:
        if isinstance(error, OSError) and error.errno in _CANNOT_WRITE:
            raise ToolError(
                f"{source.path} cannot be unpacked in {into}: {error.strerror}.",
                remedy="Free space there, or set XDG_CACHE_HOME to another place.",
            ) from error
        raise DamagedInputError(
            f"{source.path} cannot be read as a .tar.gz archive: {error}.",
            remedy="Download it again and compare its SHA-256.",
        ) from error


def _gunzip(path: Path) -> IO[bytes]:
    from isal import igzip  # noqa: PLC0415 - only archives need it

    opened = igzip.open(path, "rb")  # type: ignore[no-untyped-call]  # isal has no types
    return cast("IO[bytes]", opened)


def _metadata(text: str) -> tuple[str | None, str | None]:
    head = text.partition("\n\n")[0]
    fields = {match["key"]: match["value"] for match in _FIELD.finditer(head)}
    return fields.get("Name"), fields.get("Version")


@cache
def _left_out(project: Project) -> frozenset[str]:
    return frozenset(row["directory"] for row in _projects()[project]["left_out"])


@cache
def _projects() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(_DATA.read_text(encoding="utf-8"))["projects"]
    return content
