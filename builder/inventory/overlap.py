"""Reads one large member while the next one is being unpacked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self

from builder.errors import DamagedInputError
from builder.inventory.blob import Blob
from builder.inventory.members import Member
from builder.inventory.options import ReadOptions
from builder.inventory.records import FileInventory

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

ReadFile = Callable[[str, Blob, ReadOptions], FileInventory | None]
"""Reads one file: the native reader's `read_file`, or one that asks cuobjdump."""

Outcome = FileInventory | DamagedInputError | None

_WORTH_OVERLAPPING = 8 << 20
"""Bytes from which a member is read beside the next: below, waking a thread costs more."""


class OverlappingReader:
    """Takes members in order and reads them, at most one of them in the background."""

    def __init__(self, read: ReadFile, options: ReadOptions) -> None:
        self._read = read
        self._options = options
        self._pool: ThreadPoolExecutor | None = None
        self._pending: Future[None] | None = None
        self._outcomes: list[tuple[Member, Outcome]] = []

    def take(self, member: Member) -> None:
        """Unpack `member`, and read it now or in the background. Damage is kept, not raised."""
        try:
            self._options.limits.check_member(member.size, member.path)
            content = ExitStack()
            blob = content.enter_context(member.open())
        except DamagedInputError as error:
            self._outcomes.append((member, error))
            return
        if member.size < _WORTH_OVERLAPPING or member.only or self._options.workers == 1:
            self._finish(member, content, blob)
            return
        self._wait()
        self._pending = self._background().submit(self._finish, member, content, blob)

    def outcomes(self) -> Iterator[tuple[Member, Outcome]]:
        """Wait for the last member, and give what became of each that was taken."""
        self._wait()
        return iter(self._outcomes)

    def _finish(self, member: Member, content: ExitStack, blob: Blob) -> None:
        outcome: Outcome
        try:
            with content:
                outcome = self._read(member.path, blob, self._options)
        except DamagedInputError as error:
            outcome = error
        self._outcomes.append((member, outcome))

    def _wait(self) -> None:
        if self._pending is not None:
            self._pending.result()
            self._pending = None

    def _background(self) -> ThreadPoolExecutor:
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - slow to load

            self._pool = ThreadPoolExecutor(1, thread_name_prefix="smforge-member")
        return self._pool

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown()
