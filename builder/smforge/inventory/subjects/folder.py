"""A folder as a subject."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from functools import partial

from smforge.arch.platforms import WHEEL_SUFFIX
from smforge.errors import DamagedInputError, SmforgeError
from smforge.inventory.formats.limits import Limits
from smforge.inventory.native.reader import may_hold_code, read_file
from smforge.inventory.options import ReadOptions
from smforge.inventory.records import Damage, Subject, SubjectKind
from smforge.inventory.subjects.base import OpenSubject
from smforge.inventory.subjects.file import head_of, open_member
from smforge.inventory.subjects.members import Member, path_text
from smforge.inventory.subjects.unpacking import UnpackedSubject

_PROMISED = re.compile(r"\.(so(\.\d+)*|cubin|fatbin|ptx|a|o|whl|dll|pyd)\Z")
"""Names of files that hold GPU code, or may."""
_LAYOUT = ("oci-layout", "index.json")
"""The files that make a folder an image layout."""


class FolderSubject(OpenSubject):
    """A folder. Symbolic links are not followed: no file is read twice, none from outside.

    What the folder needs and does not hold is damage, because nothing is known of it: what a link
    out of it leads to, where that may be GPU code; a link with the name of a library that leads
    nowhere; a part of the folder that may not be read. An image layout in it is read as an image.
    """

    def __init__(self, root: str, options: ReadOptions) -> None:
        self._root = root
        self._options = options
        self._real = os.path.realpath(self._root)
        self._damage: list[Damage] = []
        self._whole: int | None = None
        self._images: list[tuple[str, OpenSubject]] = []
        self._of_images: dict[int, tuple[str, OpenSubject, Member]] = {}

    @property
    def subject(self) -> Subject:
        return Subject(SubjectKind.TREE, path_text(os.path.basename(self._real)) or "/", None)

    @property
    def damage(self) -> tuple[Damage, ...]:
        return tuple(self._damage)

    def members(self) -> Iterator[Member]:
        limits: Limits = self._options.limits
        for count, path in enumerate(self._walk(), start=1):
            limits.check_members(count, self._root)
            try:
                mode = os.lstat(path).st_mode
                if stat.S_ISLNK(mode):
                    self._check_link(path)
                if not stat.S_ISREG(mode) or self._is_left_out(path):
                    continue
                head, size = head_of(path)
            except OSError as error:
                # Only what opens a file names it, not what reads it.
                error.filename = error.filename or path
                self._unreadable(error)
                continue
            yield Member(self._relative(path), size, partial(open_member, path), head)
        for path, image in self._images:
            yield from self._members_of(path, image)

    def paths_of(self, member: Member) -> tuple[str, ...]:
        found = self._of_images.get(member.serial)
        if found is None:
            return (member.path,)
        path, image, inner = found
        return tuple(f"{path}/{place}" for place in image.paths_of(inner))

    def is_link(self, path: str) -> bool:
        place = os.path.join(self._real, path)
        return os.path.lexists(place) and os.path.realpath(place) != place

    def whole(self) -> int | None:
        if self._whole is None:
            read = (one for one in _regular_files(self._root) if not self._is_left_out(one))
            self._whole = sum(map(_size, read))
        return self._whole

    def close(self) -> None:
        for _, image in self._images:
            image.close()

    def _walk(self) -> Iterator[str]:
        for folder, folders, files in os.walk(self._root, onerror=self._unreadable):
            layout = all(name in files for name in _LAYOUT)
            if layout and (not self._options.packages or self._opens_image(folder)):
                folders.clear()
                continue
            folders.sort()
            for name in folders:
                path = os.path.join(folder, name)
                if os.path.islink(path) and self._leads_out(path):
                    self._miss(path, "It is a link to a folder outside, which was not read.")
            for name in sorted(files):
                yield os.path.join(folder, name)

    def _is_left_out(self, path: str) -> bool:
        return not self._options.packages and path.endswith(WHEEL_SUFFIX)

    def _opens_image(self, folder: str) -> bool:
        """Open an image layout; where that fails, its blobs are read as files, and it is damage."""
        from smforge.inventory.subjects import oci  # noqa: PLC0415 - few folders have any

        try:
            self._images.append((self._relative(folder), oci.open_subject(folder, self._options)))
        except SmforgeError as error:
            self._miss(folder, f"It is an image layout that cannot be read: {error}")
            return False
        return True

    def _members_of(self, path: str, image: OpenSubject) -> Iterator[Member]:
        try:
            for member in image.members():
                serial = len(self._of_images) + 1
                self._of_images[serial] = (path, image, member)
                yield member._replace(path=f"{path}/{member.path}", serial=serial)
        except DamagedInputError as error:
            self._damage.append(Damage(path, error.message))

    def _check_link(self, path: str) -> None:
        """A link into the folder needs no check: its target is read anyway. Most others lead to
        no GPU code.
        """
        try:
            mode = os.stat(path).st_mode
        except (FileNotFoundError, NotADirectoryError):
            if _PROMISED.search(path):
                self._miss(path, f"It is a link to {os.readlink(path)}, which is not there.")
            return
        except OSError as error:
            # The links form a circle, or a folder may not be entered.
            if self._leads_out(path) or _PROMISED.search(path):
                where = f"It is a link to {os.readlink(path)}"
                self._miss(path, f"{where}, which cannot be read: {error.strerror}.")
            return
        if self._leads_out(path) and stat.S_ISREG(mode) and self._holds_code(path):
            self._miss(
                path, "It is a link to a file outside the folder, whose GPU code was not read."
            )

    def _holds_code(self, path: str) -> bool:
        """Whether a file, or what lies in it where it is an archive, is GPU code or damaged."""
        head, size = head_of(path)
        linked = Member(self._relative(path), size, partial(open_member, path), head)
        options = ReadOptions(names=False, digests=False)
        with UnpackedSubject(_SingleMember(linked), self._options.limits) as subject:
            for member in subject.members():
                if member.head is None or not may_hold_code(member.path, member.head):
                    continue
                try:
                    with member.open() as blob:
                        found = read_file(member.path, blob, options)
                except DamagedInputError:
                    return True
                if found is not None and (found.regions or found.damage):
                    return True
            return bool(subject.damage)

    def _leads_out(self, path: str) -> bool:
        # Not Path.resolve: that raises where links go in a circle.
        real = os.path.realpath(path)
        return os.path.commonpath([self._real, real]) != self._real

    def _relative(self, path: str) -> str:
        return path_text(os.path.relpath(path, self._root).replace(os.sep, "/"))

    def _miss(self, path: str, message: str) -> None:
        self._damage.append(Damage(self._relative(path), path_text(message)))

    def _unreadable(self, error: OSError) -> None:
        path = error.filename or self._root
        self._damage.append(Damage(self._relative(path), f"It cannot be read: {error.strerror}."))


class _SingleMember(OpenSubject):
    """One file of the host as a subject, so that archives in it can be read."""

    def __init__(self, member: Member) -> None:
        self._member = member

    @property
    def subject(self) -> Subject:
        return Subject(SubjectKind.FILE, self._member.path, None)

    def members(self) -> Iterator[Member]:
        yield self._member


def _regular_files(root: str) -> Iterator[str]:
    return (os.path.join(place, name) for place, _, files in os.walk(root) for name in files)


def _size(path: str) -> int:
    try:
        found = os.lstat(path)
    except OSError:
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def is_layout(folder: str) -> bool:
    """Whether a folder is an image layout."""
    return all(os.path.isfile(os.path.join(folder, name)) for name in _LAYOUT)
