"""A subject whose archives are read like folders: their members are audited too.

A wheel in a folder, a jar in a wheel, a tar in a zip: the path of a file within one is the path of
the archive and its own path, with a slash between.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from smforge.arch.platforms import WHEEL_SUFFIX
from smforge.errors import DamagedInputError, LimitExceededError
from smforge.inventory.formats.limits import Limits, UnpackingMeter
from smforge.inventory.native.reader import may_hold_code
from smforge.inventory.records import Damage
from smforge.inventory.subjects.base import OpenSubject, WrappedSubject
from smforge.inventory.subjects.members import Member

if TYPE_CHECKING:
    from smforge.inventory.archives.archive_form import Form

_NAMED = (
    WHEEL_SUFFIX, ".zip", ".jar", ".conda", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz",
    ".tar.zst",
)  # fmt: skip
"""Suffixes of names of archives."""
_ELF = b"\x7fELF"
"""Suffixes of most files with GPU code; they are no archives, so nothing has to be loaded to
check.
"""


class UnpackedSubject(WrappedSubject):
    """A subject with the members of its archives in addition to its own."""

    def __init__(self, inner: OpenSubject, limits: Limits) -> None:
        super().__init__(inner)
        self._limits = limits
        self._found: list[tuple[Member, Damage]] = []
        self._meter = UnpackingMeter(limits)

    @property
    def damage(self) -> tuple[Damage, ...]:
        """Ask after the last member: what no longer shows in an image is left out."""
        within = (
            item._replace(path=path)
            for member, item in self._found
            for path in self.paths_of(member)
        )
        return (*self._inner.damage, *within)

    def members(self) -> Iterator[Member]:
        """Yield every regular file, and after an archive what lies in it."""
        for member in self._inner.members():
            yield from self._with_content(member, 0)

    def paths_of(self, member: Member) -> tuple[str, ...]:
        outer = member.outer
        if outer is None:
            return self._inner.paths_of(member)
        inside = member.path[len(outer.path) :]
        return tuple(path + inside for path in self.paths_of(outer))

    def _with_content(self, member: Member, depth: int) -> Iterator[Member]:
        yield member
        form = archive_form_of(member.path, member.head)
        try:
            _check_name(member, form)
            if form is None:
                return
            if depth == self._limits.nesting:
                raise LimitExceededError(
                    f"It is within {depth} other archives, and deeper ones are not read."
                )
            yield from self._content(member, form, depth)
        except DamagedInputError as error:
            self._miss(member, error.message)

    def _content(self, archive: Member, form: Form, depth: int) -> Iterator[Member]:
        # Loaded where there is an archive: few subjects of GPU code have any.
        from smforge.inventory.subjects.archive_members import ArchiveMembers  # noqa: PLC0415

        self._limits.check_member(archive.size, archive.path)
        if depth == 0:
            self._meter.add_archive(archive.size)
        with archive.open() as blob:
            members = ArchiveMembers(blob, form, archive.path, self._limits, self._meter)
            empty = True
            try:
                for member in members:
                    empty = False
                    path = f"{archive.path}/{member.path}"
                    inner = member._replace(path=path, serial=0, outer=archive)
                    yield from self._with_content(inner, depth + 1)
            finally:
                for item in members.damage:
                    place = f"{archive.path}/{item.path}"
                    self._miss(archive._replace(path=place, outer=archive), item.message)
            if empty and not members.damage and archive.path.endswith(WHEEL_SUFFIX):
                raise DamagedInputError("It is named like a wheel and holds no file.")

    def _miss(self, member: Member, message: str) -> None:
        if len(self._found) < self._limits.damages:
            self._found.append((member, Damage(member.path, message)))


def _check_name(member: Member, form: Form | None) -> None:
    """Raise `DamagedInputError` for a file that is named like an archive and is none.

    So are a pointer that git leaves where the real file was not fetched, and the page that a
    server sends instead of a file.
    """
    if member.head is None or not member.path.endswith(_NAMED):
        return
    is_wheel = member.path.endswith(WHEEL_SUFFIX)
    if (form is None and (member.head or is_wheel)) or (is_wheel and form and form.name != "zip"):
        raise DamagedInputError("It is named like an archive, and its content is something else.")


def archive_form_of(path: str, head: bytes | None) -> Form | None:
    """The kind of archive that a file is, by its first bytes.

    None for what the readers of GPU code take: other files, static archives of object files, and
    files that are named like GPU code.
    """
    if not head or head.startswith(_ELF):
        return None
    from smforge.inventory.archives.archive_form import DEB, form_of  # noqa: PLC0415 - as above

    form = form_of(head)
    if form is not None and form.name != DEB and may_hold_code(path, head):
        return None
    return form
