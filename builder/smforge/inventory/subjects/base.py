"""The interface of every kind of subject for the survey."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from smforge.inventory.records import Damage, Subject
from smforge.inventory.subjects.members import Member


class OpenSubject(ABC):
    """A subject that is being read. What is not overridden suits files and folders."""

    @property
    @abstractmethod
    def subject(self) -> Subject:
        """The identity. Ask after the last member where `Subject.digest` needs all bytes."""

    @property
    def damage(self) -> tuple[Damage, ...]:
        """Damage of the subject itself that leaves other members readable. Ask after the last."""
        return ()

    @abstractmethod
    def members(self) -> Iterator[Member]:
        """Yield every regular file once. Raises `DamagedInputError` where none can be listed."""

    def paths_of(self, member: Member) -> tuple[str, ...]:
        """The paths of `member` in the subject as it will be used; ask after the last member.

        The member's own path, except in an image: a file that an upper layer removes or replaces
        lies nowhere, and one with hard links in several places. What was found in a member that
        lies nowhere is dropped; what was found in one with several paths counts for each.
        """
        return (member.path,)

    def resolve(self, path: str) -> str | None:
        """Where `path` leads when the subject's symbolic links are followed; None in circles.

        The path itself, except in an image. Ask after the last member.
        """
        return path

    def is_link(self, path: str) -> bool:
        """Whether `path` is a link, or leads through one. Ask after the last member."""
        return self.resolve(path) != path

    def whole(self) -> int | None:
        """The bytes of all members; None where they are not known. For progress alone.

        It is called from another thread, while members are listed.
        """
        return None

    def stored(self) -> tuple[int, int | None] | None:
        """The bytes that were taken from where the subject is stored, and of how many.

        For progress alone, and called as `whole`. None where members tell enough.
        """
        return None

    def close(self) -> None:  # noqa: B027 - most subjects hold nothing
        """Release files, connections and processes."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class WrappedSubject(OpenSubject):
    """A subject that adds something to another one."""

    def __init__(self, inner: OpenSubject) -> None:
        self._inner = inner

    @property
    def subject(self) -> Subject:
        return self._inner.subject

    @property
    def damage(self) -> tuple[Damage, ...]:
        return self._inner.damage

    def members(self) -> Iterator[Member]:
        return self._inner.members()

    def paths_of(self, member: Member) -> tuple[str, ...]:
        return self._inner.paths_of(member)

    def resolve(self, path: str) -> str | None:
        return self._inner.resolve(path)

    def is_link(self, path: str) -> bool:
        return self._inner.is_link(path)

    def whole(self) -> int | None:
        return self._inner.whole()

    def stored(self) -> tuple[int, int | None] | None:
        return self._inner.stored()

    def close(self) -> None:
        self._inner.close()
