"""Unpacks a tar or zip file of sources, and only what is wanted of it.

Nothing is written outside of the directory that is made: a file that tries is refused whole, as is
one with more files or bytes than sources have.
"""

from __future__ import annotations

import errno
import lzma
import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from smforge.errors import BuildFailedError
from smforge.plan.records import PlannedExternal

MOST_FILES = 500_000
"""Triton's repository has 3,000 files, LLVM's 150,000."""
MOST_BYTES = 16 << 30
_OF_NAMES = {
    None, errno.ENAMETOOLONG, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.EINVAL, errno.ENOENT,
    errno.ELOOP,
}  # fmt: skip
_COMMIT = re.compile(r"[0-9a-f]{40}\Z")


@dataclass(frozen=True, slots=True)
class Part:
    """A directory in a file, and its place in the tree that is made."""

    directory: str | None
    """None for everything; a single directory at the top is then looked through."""
    place: str = "."


def parts_of(external: PlannedExternal) -> tuple[Part, ...]:
    """What is wanted of the file of an external."""
    if external.layout:
        return tuple(Part(directory, place) for place, directory in external.layout)
    return (Part(external.subdirectory),)


def unpack(archive: Path, external: PlannedExternal, work: Path) -> Path:
    """Lay the wanted parts of a file out in a new directory below `work`, and return it.

    Raises `BuildFailedError` where the file cannot be unpacked, tries to write elsewhere, lacks a
    directory that is wanted, or says that it is another commit than the matrix says.
    """
    unpacked, made = work / "unpacked", work / "laid-out"
    parts = parts_of(external)
    unpacked.mkdir()
    try:
        if zipfile.is_zipfile(archive):
            _unpack_zip(archive, unpacked, parts, external)
        else:
            _unpack_tar(archive, unpacked, parts, external)
    except (
        tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError,
        NotImplementedError, RuntimeError, ValueError,
    ) as error:  # fmt: skip
        raise BuildFailedError(
            f"{archive.name} cannot be unpacked: {error}.", remedy="Name a tar or zip file."
        ) from None
    except OSError as error:
        # A member with an impossible name, or a file where a directory has to be.
        if error.errno not in _OF_NAMES:
            raise
        raise BuildFailedError(
            f"{archive.name} cannot be unpacked: {error.strerror or error}.",
            remedy="Name a tar or zip file.",
        ) from None
    for part in parts:
        _place(_found(unpacked, part, archive, external), made / part.place, archive)
    _require_links_inside(made, archive)
    return made


def _unpack_zip(
    archive: Path, into: Path, parts: tuple[Part, ...], external: PlannedExternal
) -> None:
    count = _Count(archive)
    with zipfile.ZipFile(archive) as opened:
        _require_commit(opened.comment.decode("ascii", "replace"), archive, external)
        for member in opened.infolist():
            _require_inside(member.filename, archive)
            if not _wanted(member.filename, parts):
                continue
            if stat.S_ISLNK(member.external_attr >> 16):
                raise BuildFailedError(
                    f"{archive.name} holds the link {member.filename}, and links of zip files are "
                    "not unpacked.",
                    remedy="Name a tar file of the same sources.",
                )
            count.add(member.file_size)
            opened.extract(member, into)


def _unpack_tar(
    archive: Path, into: Path, parts: tuple[Part, ...], external: PlannedExternal
) -> None:
    count = _Count(archive)
    with tarfile.open(archive) as opened:
        _require_commit(opened.pax_headers.get("comment", ""), archive, external)
        for member in opened:
            _require_inside(member.name, archive)
            if _wanted(member.name, parts):
                count.add(member.size)
                opened.extract(member, into, filter="data")


class _Count:
    """How much of a file was unpacked so far."""

    def __init__(self, archive: Path) -> None:
        self._name = archive.name
        self._files = 0
        self._bytes = 0

    def add(self, size: int) -> None:
        """Count one more member; raises `BuildFailedError` where it is too much."""
        self._files += 1
        self._bytes += size
        if self._files > MOST_FILES or self._bytes > MOST_BYTES:
            raise BuildFailedError(
                f"{self._name} holds more than {MOST_FILES:,} files or {MOST_BYTES >> 30} GiB, "
                "which sources do not have.",
                remedy="Name the directory that is meant with 'subdirectory' in versions.json, or "
                "do not use this file.",
            )


def _require_inside(member: str, archive: Path) -> None:
    path = PurePosixPath(member)
    if path.is_absolute() or ".." in path.parts:
        raise BuildFailedError(
            f"{archive.name} cannot be unpacked: its member {member} has a place outside of the "
            "directory that it is unpacked to.",
            remedy="Do not use this file; find out who made it.",
        )


def _require_commit(said: str, archive: Path, external: PlannedExternal) -> None:
    """Compare the commit that ``git archive`` writes into its files with the matrix's.

    It stands in the comment of a tar's global header and of a zip; other files say nothing.
    """
    commits = [one for one in external.holds if _COMMIT.match(one)]
    said = said.strip()
    if commits and _COMMIT.match(said) and said not in commits:
        raise BuildFailedError(
            f"{archive.name} says that it is commit {said}, and versions.json says that the "
            f"sources of {external.name} in it are {commits[0]}.",
            remedy=f"Make it of the right commit (git archive {commits[0]}), or correct 'commit'.",
        )


def _wanted(member: str, parts: tuple[Part, ...]) -> bool:
    path = str(PurePosixPath(member))
    return any(part.directory is None or f"{path}/".startswith(f"{part.directory}/")
               for part in parts)  # fmt: skip


def _found(unpacked: Path, part: Part, archive: Path, external: PlannedExternal) -> Path:
    if part.directory is not None:
        found = unpacked / part.directory
        if not found.is_dir():
            key = "layout" if external.layout else "subdirectory"
            raise BuildFailedError(
                f"{archive.name} holds no directory {part.directory}{_near(archive, part)}.",
                remedy=f"Correct '{key}' of {external.name} in versions.json.",
            )
        return found
    entries = list(unpacked.iterdir())
    return entries[0] if len(entries) == 1 and entries[0].is_dir() else unpacked


def _near(archive: Path, part: Part) -> str:
    """Where else a directory of the wanted name is, or what is at the top."""
    directories = {str(one) for name in _names(archive) for one in PurePosixPath(name).parents}
    directories.discard(".")
    last = PurePosixPath(str(part.directory)).name
    same = sorted(one for one in directories if PurePosixPath(one).name == last)
    top = sorted(one for one in directories if "/" not in one)
    if same:
        return f"; it has {', '.join(same[:3])}"
    return f"; at its top are {', '.join(top[:5])}" if top else ""


def _names(archive: Path) -> list[str]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            return opened.namelist()
    with tarfile.open(archive) as opened_tar:
        return opened_tar.getnames()


def _place(found: Path, place: Path, archive: Path) -> None:
    """Put the content of a directory into another one, which may hold files already."""
    merge(found, place, lambda path: BuildFailedError(
        f"Two parts of the layout of {archive.name} have the file {path}.",
        remedy="Correct 'layout' in versions.json.",
    ))  # fmt: skip


def merge(found: Path, place: Path, twice: Callable[[str], BuildFailedError]) -> None:
    """Move a directory to a place; raise what `twice` makes for a file that is there already."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.exists():
        found.rename(place)
        return
    for file in _entries(found):
        if (target := place / file.relative_to(found)).exists():
            raise twice(str(file.relative_to(found)))
        target.parent.mkdir(parents=True, exist_ok=True)
        file.rename(target)


def _entries(directory: Path) -> Iterator[Path]:
    """The files and links below a directory."""
    for folder, names, files in os.walk(directory):
        yield from (Path(folder) / one for one in files)
        yield from (one for name in names if (one := Path(folder) / name).is_symlink())


def _require_links_inside(tree: Path, archive: Path) -> None:
    """A link that was inside the whole file may lead out of the part that is meant."""
    for file in _entries(tree):
        if not file.is_symlink():
            continue
        target = Path(os.path.normpath(file.parent / file.readlink()))
        if file.readlink().is_absolute() or not target.is_relative_to(tree):
            raise BuildFailedError(
                f"{archive.name} holds the link {file.relative_to(tree)} to {file.readlink()}, "
                "which is outside of the sources that are meant.",
                remedy="Name a larger part of it in versions.json, or another file.",
            )
