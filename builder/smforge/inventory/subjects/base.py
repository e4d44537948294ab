"""What every kind of subject offers to the survey."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Protocol, Self

from smforge.inventory.records import Damage, Subject
from smforge.inventory.subjects.members import Member


class OpenSubject(Protocol):
    """A subject that is being read."""

    @property
    def subject(self) -> Subject:
        """The identity. Ask after the last member where `Subject.digest` needs all bytes."""

    @property
    def damage(self) -> tuple[Damage, ...]:
        """Damage of the subject itself that leaves other members readable."""

    def members(self) -> Iterator[Member]:
        """Yield every regular file once. Raises `DamagedInputError` where none can be listed."""

    def paths_of(self, member: Member) -> tuple[str, ...]:
        """Where `member` lies in the subject as it will be used; ask after the last member.

        The member's own path, except in an image: a file that an upper layer removes or replaces
        lies nowhere, and one with hard links in several places. What was found in a member that
        lies nowhere is dropped; what was found in one with several paths counts for each.
        """

    def resolve(self, path: str) -> str | None:
        """Where `path` leads when the subject's symbolic links are followed; None in circles.

        The path itself, except in an image. Ask after the last member.
        """

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
