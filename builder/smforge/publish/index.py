"""A static index of wheels, one directory per CUDA version, that pip and uv install from.

``whl/cu130/`` holds a page of its projects, and per project a page and its wheels. It is written
next to its place and moved there in one step, so that no client gets half of it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from smforge.errors import UnpublishableError, UsageError
from smforge.files import require_room
from smforge.publish import pages
from smforge.publish.limits import Limits, require_within
from smforge.publish.wheels import Wheel

_NAME = re.compile(r"cu[0-9]{3}(-[a-z0-9-]{1,63})?")
"""A CUDA tag, and a variant after it: a directory's name, never a path."""


@dataclass(frozen=True, slots=True)
class Index:
    """One directory of wheels."""

    name: str
    """The directory: ``cu130``."""
    wheels: tuple[Wheel, ...]
    """By project, version and file name; each file once."""
    left_out: tuple[Wheel, ...] = ()
    """Wheels of other variants that are left out, because the index has a wheel of that name."""

    @property
    def size(self) -> int:
        """Bytes of all wheels."""
        return sum(wheel.size for wheel in self.wheels)

    def projects(self) -> Iterator[tuple[str, tuple[Wheel, ...]]]:
        """The wheels by project."""
        for project, wheels in groupby(self.wheels, key=lambda wheel: wheel.project):
            yield project, tuple(wheels)


def make_index(name: str, variants: Mapping[str, Sequence[Wheel]], limits: Limits) -> Index:
    """Put the wheels of some variants together into an index.

    Variants for one device and the one for all make files of one name with different content. The
    index keeps those of the variant that has the index's name, ``cu130``, and names what it left
    out; the other variants need separate indexes.
    Raises `UnpublishableError` where two files differ so otherwise, where a wheel is made for
    another CUDA version, and where a limit does not hold, and `UsageError` for a name that is no
    index's.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name of an index: it is a CUDA tag such as cu130.")
    files: dict[str, Wheel] = {}
    for wheel in variants.get(name, ()):
        _add(files, name, wheel)
    own = frozenset(files)
    left_out = []
    for wheel in (wheel for key, wheels in variants.items() if key != name for wheel in wheels):
        if wheel.filename in own and files[wheel.filename].sha256 != wheel.sha256:
            left_out.append(wheel)
        else:
            _add(files, name, wheel)
    ordered = sorted(files.values(), key=lambda one: (one.project, one.version, one.filename))
    index = Index(name, tuple(ordered), tuple(left_out))
    require_within(limits, name, ((wheel.filename, wheel.size) for wheel in index.wheels))
    return index


def write_index(index: Index, folder: Path) -> Path:
    """Write the index to ``folder/NAME``, instead of what is there; the result is that directory.

    Wheels are hard links where that is possible and everyone may read them, else copies. Raises
    `UsageError` if something else than such an index is there, because it would be deleted.
    """
    place = folder / index.name
    _require_replaceable(place)
    folder.mkdir(parents=True, exist_ok=True)
    device = folder.stat().st_dev
    copied = sum(wheel.size for wheel in index.wheels if wheel.path.stat().st_dev != device)
    require_room(folder, copied, f"The index {index.name}", "name another directory with --to")
    with tempfile.TemporaryDirectory(prefix=f".{index.name}.", dir=folder) as scratch:
        made = Path(scratch) / "new"
        _write(index, made)
        former = Path(scratch) / "old"
        if place.exists():
            place.rename(former)
        try:
            made.rename(place)
        except OSError:
            if former.exists():
                former.rename(place)
            raise
    return place


def _require_replaceable(place: Path) -> None:
    """Refuse to replace anything but an index that was written before, or an empty directory."""
    if not (place.exists() or place.is_symlink()):
        return
    try:
        document = json.loads((place / "index.json").read_bytes())
        if document["meta"] == pages.META:
            return
    except (OSError, ValueError, TypeError, KeyError):
        if place.is_dir() and not any(place.iterdir()):
            return
    raise UsageError(
        f"{place} is no index that smforge wrote, and writing the index would delete it.",
        remedy="Name another directory with --to, or remove it.",
    )


def _write(index: Index, folder: Path) -> None:
    folder.mkdir()
    projects = [project for project, _ in index.projects()]
    _write_page(folder, pages.root_page(index.name, projects), pages.root_document(projects))
    for project, wheels in index.projects():
        place = folder / project
        place.mkdir()
        html, document = (
            pages.project_page(project, wheels),
            pages.project_document(project, wheels),
        )
        _write_page(place, html, document)
        for wheel in wheels:
            _link_or_copy(wheel.path, place / wheel.filename)
            (place / f"{wheel.filename}.metadata").write_bytes(wheel.metadata)


def _write_page(folder: Path, html: str, document: str) -> None:
    (folder / "index.html").write_text(html, encoding="utf-8")
    (folder / "index.json").write_text(document, encoding="utf-8")


def _link_or_copy(source: Path, place: Path) -> None:
    """A wheel that only its owner may read is copied, so that a web server can read it."""
    if stat.S_IMODE(source.stat().st_mode) & 0o444 == 0o444:
        try:
            os.link(source, place)
        except OSError:
            pass
        else:
            return
    shutil.copyfile(source, place)


def _add(files: dict[str, Wheel], name: str, wheel: Wheel) -> None:
    """Add a wheel to the index `name`, which holds one file per name."""
    other = files.setdefault(wheel.filename, wheel)
    if other.sha256 != wheel.sha256:
        raise UnpublishableError(
            f"{other.path} and {wheel.path} differ under one name, and the index {name} can hold "
            "only one file of it.",
            remedy="Write one index for each variant (--per variant); files of one variant "
            "that depend on the platform need its tag.",
        )
    _check_local_version(name, wheel)


def _check_local_version(name: str, wheel: Wheel) -> None:
    """``+cu129`` does not belong into an index of ``cu130``; most wheels state no CUDA version."""
    local = wheel.version.local or ""
    stated = [part for part in local.split(".") if part.startswith("cu") and part[2:].isdecimal()]
    cuda = name.partition("-")[0]
    if stated and cuda not in stated:
        raise UnpublishableError(
            f"{wheel.filename} is made for {stated[0]} and does not belong into the index {name}."
        )
