"""Unpacks wheels, folders and files into trees of files, and packs them again."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import re
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from smforge.errors import DamagedInputError, UsageError
from smforge.files import require_room, unwritten
from smforge.inventory.rewrite_manifest import MANIFEST

_VERSION: Final = re.compile(r"^Version: *(\S+)[ \t]*$", re.MULTILINE)
_COPY: Final = 1 << 20
_ELSEWHERE: Final = "name an output on another disk"
_MOST_MEMBERS: Final = 1_000_000
_MOST_BYTES: Final = 64 << 30


@dataclass(frozen=True, slots=True)
class Tree:
    """The files of a subject, in a separate folder."""

    root: Path
    members: tuple[zipfile.ZipInfo, ...] = ()
    """Of a wheel, in its order."""

    @property
    def dist_info(self) -> str | None:
        """The folder of a wheel's metadata."""
        found = {
            PurePosixPath(one.filename).parts[0]
            for one in self.members
            if PurePosixPath(one.filename).parts[0].endswith(".dist-info")
        }
        return found.pop() if len(found) == 1 else None


@contextmanager
def unpacked(wheel: Path, beside: Path) -> Iterator[Tree]:
    """Unpack a wheel into a temporary folder beside the output.

    Raises `DamagedInputError` where it is no wheel or a member lies outside of it.
    """
    with tempfile.TemporaryDirectory(dir=beside, prefix=".smforge-") as folder:
        root = Path(folder)
        try:
            with zipfile.ZipFile(wheel) as archive:
                members = tuple(archive.infolist())
                _check_members(wheel, members)
                size = sum(one.file_size for one in members) + wheel.stat().st_size
                require_room(root, size, f"{wheel.name} unpacked and a copy of it", _ELSEWHERE)
                for member in members:
                    _extract(archive, member, root)
        except OSError as error:
            # A full disk says nothing about the wheel.
            raise unwritten(error) or _not_unpacked(wheel, error) from error
        except (zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError) as error:
            raise _not_unpacked(wheel, error) from error
        tree = Tree(root, members)
        if tree.dist_info is None:
            raise DamagedInputError(f"{wheel.name} is no wheel: it has no metadata.")
        yield tree


def _not_unpacked(wheel: Path, error: Exception) -> DamagedInputError:
    return DamagedInputError(f"{wheel.name} cannot be unpacked: {error}.")


def _check_members(wheel: Path, members: tuple[zipfile.ZipInfo, ...]) -> None:
    names = [one.filename for one in members]
    if len(members) > _MOST_MEMBERS or sum(one.file_size for one in members) > _MOST_BYTES:
        raise DamagedInputError(f"{wheel.name} unpacks to more than is allowed.")
    if len(set(names)) != len(names):
        raise DamagedInputError(f"{wheel.name} holds two members of one name.")
    for name in names:
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or ".." in parts or "\\" in name or "\0" in name:
            raise DamagedInputError(f"{wheel.name} holds a member outside of itself: {name!r}.")


def _extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, root: Path) -> None:
    place = root / member.filename
    if member.is_dir():
        place.mkdir(parents=True, exist_ok=True)
        return
    if stat.S_ISLNK(member.external_attr >> 16):
        raise DamagedInputError(f"A wheel holds no links, but {member.filename!r} is one.")
    place.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as source, place.open("xb") as file:
        shutil.copyfileobj(source, file, _COPY)


@contextmanager
def copied(folder: Path, beside: Path) -> Iterator[Tree]:
    """Copy a folder, links as links, into a temporary one beside the output."""
    with tempfile.TemporaryDirectory(dir=beside, prefix=".smforge-") as place:
        root = Path(place) / folder.name
        size = sum(one.lstat().st_size for one in folder.rglob("*"))
        require_room(root, size, f"A copy of {folder}", _ELSEWHERE)
        shutil.copytree(folder, root, symlinks=True)
        yield Tree(root)


def labelled(version: str, label: str, toolkit: str | None) -> str:
    """Return a version with a local label for the change: ``0.33.0+cu130.sm121``."""
    public, plus, local = version.partition("+")
    if not plus and toolkit:
        local = f"cu{toolkit.replace('.', '')}"
    return f"{public}+{f'{local}.' if local else ''}{label}"


def pack_wheel(tree: Tree, wheel: Path, label: str, toolkit: str | None, into: Path) -> str:
    """Write the tree as a wheel with another version into a folder; return the wheel's name.

    The members keep their order, times and permissions, so that one input gives one output.
    Raises `DamagedInputError` where the wheel's name or metadata say no version.
    """
    old_info = tree.dist_info
    assert old_info is not None
    metadata = (tree.root / old_info / "METADATA").read_bytes().decode("utf-8", "surrogateescape")
    head, separator, body = metadata.partition("\n\n")
    found = _VERSION.search(head)
    name, _, rest = wheel.name.partition("-")
    old_version = rest.split("-")[0]
    if found is None or not rest.endswith(".whl"):
        raise DamagedInputError(f"{wheel.name} does not state its version.")
    version = labelled(found[1], label, toolkit)
    head = head[: found.start(1)] + version + head[found.end(1) :]
    file_version = labelled(old_version, label, toolkit)
    new_name = f"{name}-{file_version}-{'-'.join(rest.split('-')[1:])}"
    renamed = {
        f"{name}-{old_version}{end}": f"{name}-{file_version}{end}"
        for end in (".dist-info", ".data")
    }
    (tree.root / old_info / "METADATA").write_bytes(
        (head + separator + body).encode("utf-8", "surrogateescape")
    )
    record: list[tuple[str, str, str]] = []
    with zipfile.ZipFile(into / new_name, "x", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for member in (*tree.members, _manifest_member(tree, old_info)):
            first, *others = PurePosixPath(member.filename).parts
            path = "/".join((renamed.get(first, first), *others))
            if member.is_dir():
                continue
            if path.endswith(".dist-info/RECORD"):
                record_member = _member(path, member)
                continue
            digest, size = _add(archive, _member(path, member), tree.root / member.filename)
            record.append((path, f"sha256={digest}", str(size)))
        record.append((record_member.filename, "", ""))
        archive.writestr(record_member, _record_text(record), zipfile.ZIP_DEFLATED)
    return new_name


def _manifest_member(tree: Tree, dist_info: str) -> zipfile.ZipInfo:
    pattern = next(one for one in tree.members if one.filename == f"{dist_info}/METADATA")
    return _member(f"{dist_info}/{MANIFEST}", pattern)


def _member(path: str, pattern: zipfile.ZipInfo) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(path, pattern.date_time)
    member.external_attr = pattern.external_attr
    member.create_system = pattern.create_system
    member.compress_type = zipfile.ZIP_DEFLATED
    return member


def _add(archive: zipfile.ZipFile, member: zipfile.ZipInfo, file: Path) -> tuple[str, int]:
    digest = hashlib.sha256()
    size = member.file_size = file.stat().st_size
    with file.open("rb") as source, archive.open(member, "w", force_zip64=size >= 1 << 31) as to:
        while part := source.read(_COPY):
            digest.update(part)
            to.write(part)
    return base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode(), size


def _record_text(rows: list[tuple[str, str, str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def place_whole(made: Path, out: Path) -> None:
    """Put a finished file or folder in its place, which must be free.

    Raises `UsageError` where something is there.
    """
    if out.exists() or out.is_symlink():
        raise UsageError(f"{out} exists.", remedy="Name another output, or remove it first.")
    umask = os.umask(0)
    os.umask(umask)
    if made.is_file():
        made.chmod((0o777 if made.stat().st_mode & 0o100 else 0o666) & ~umask)
    made.rename(out)
