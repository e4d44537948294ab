"""A wheel, or any other archive file, as a subject."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from smforge.arch.platforms import WHEEL_SUFFIX, wheel_platform
from smforge.errors import DamagedInputError, UsageError
from smforge.inventory.archives.archive_form import Form
from smforge.inventory.digest import Hashing
from smforge.inventory.formats.blob import OwnedBlob
from smforge.inventory.formats.limits import Limits, UnpackingMeter
from smforge.inventory.records import Damage, Subject, SubjectKind
from smforge.inventory.subjects.archive_members import ArchiveMembers
from smforge.inventory.subjects.base import OpenSubject
from smforge.inventory.subjects.members import Member

_LAYOUT_MARK = "oci-layout"
_SAVED_LIST = ("manifest.json", b'[{"Config"')


class PackedSubject(OpenSubject):
    """An archive file that is being read."""

    def __init__(
        self, name: str, blob: OwnedBlob, form: Form, limits: Limits, *, digests: bool
    ) -> None:
        """Take over `blob`; `digests` asks for the SHA-256 of the whole archive."""
        self._name = name
        self._members = ArchiveMembers(blob, form, name, limits, UnpackingMeter(limits, blob.size))
        self._is_wheel = name.endswith(WHEEL_SUFFIX)
        self._hashing = Hashing(blob) if digests else None
        self._closing = ExitStack()
        self._closing.callback(blob.close)
        if self._hashing is not None:
            self._closing.callback(self._hashing.stop)

    @property
    def subject(self) -> Subject:
        digest = f"sha256:{self._hashing.hexdigest()}" if self._hashing else None
        if self._is_wheel:
            return Subject(SubjectKind.WHEEL, self._name, digest, wheel_platform(self._name))
        return Subject(SubjectKind.ARCHIVE, self._name, digest)

    @property
    def damage(self) -> tuple[Damage, ...]:
        return tuple(self._members.damage)

    def whole(self) -> int | None:
        return self._members.whole

    def members(self) -> Iterator[Member]:
        """Yield every member.

        Raises `DamagedInputError` for an archive that cannot be read to its end, and for a wheel
        that holds nothing; `UsageError` for a saved image, which is read as one.
        """
        empty = True
        try:
            for member in self._members:
                empty = False
                self._refuse_image(member)
                yield member
        except DamagedInputError as error:
            raise type(error)(f"{self._name}: {error.message}", remedy=error.remedy) from error
        if empty and self._is_wheel and not self.damage:
            raise DamagedInputError(
                f"{self._name} is named like a wheel and holds no file.",
                remedy="Download or build it again.",
            )

    def _refuse_image(self, member: Member) -> None:
        name, start = _SAVED_LIST
        if member.path == _LAYOUT_MARK or (
            member.path == name and (member.head or b"").startswith(start)
        ):
            raise UsageError(
                f"{self._name} is a saved image, of which only the final files count.",
                remedy="Audit it as archive:FILE.",
            )

    def close(self) -> None:
        self._closing.close()
