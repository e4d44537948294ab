"""Reads members while the next ones are being unpacked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from smforge.errors import DamagedInputError
from smforge.inventory.formats.blob import Blob, FileBlob
from smforge.inventory.options import ReadOptions
from smforge.inventory.records import FileInventory
from smforge.inventory.subjects.members import Member

if TYPE_CHECKING:
    from queue import SimpleQueue
    from threading import Thread

    from smforge.inventory.byte_budget import ByteBudget

ReadFile = Callable[[str, Blob, ReadOptions], FileInventory | None]
"""Reads one file: the native reader's `read_file`, or one that asks cuobjdump."""

Outcome = FileInventory | DamagedInputError | None

_SMALL = 16 << 20
"""Bytes up to which subjects unpack a member into memory, and not into a temporary file."""
_IN_MEMORY = 24 << 20
"""Bytes of small members that may wait for their reader, in addition to those unpacked last."""
_ON_DISK = 1 << 30
"""Bytes of large members that may wait, in temporary files. A larger one waits alone."""
_BATCH_BYTES = 1 << 20
_BATCH_MEMBERS = 64
"""What is handed over at once: waking a thread for every small member costs more than it saves."""


class _Task(NamedTuple):
    member: Member
    content: ExitStack
    blob: Blob


class BackgroundReader:
    """Takes members in order; one thread in the background reads them, within bounds."""

    def __init__(self, read: ReadFile, options: ReadOptions) -> None:
        self._read = read
        self._options = options
        self._batch: list[_Task] = []
        self._batch_bytes = 0
        self._worker: _Worker | None = None
        self._outcomes: list[tuple[Member, Outcome]] = []
        self._taken = 0
        self._left_bytes = 0
        self._read_bytes = 0

    @property
    def passed_bytes(self) -> int:
        """The bytes of the members that are read or left out; those in archives do not count."""
        return self._left_bytes + self._read_bytes

    def leave(self, member: Member) -> None:
        """Pass by a member that holds no GPU code."""
        if member.outer is None:
            self._left_bytes += member.size

    def take(self, member: Member) -> None:
        """Unpack `member`, and read it now or in the background. Damage is kept, not raised."""
        content = ExitStack()
        if self._taken == len(self._outcomes):
            # Nothing is being read, so unpacking it is what takes the time.
            self._options.progress.item(member.path)
        self._taken += 1
        try:
            self._options.limits.check_member(member.size, member.path)
            task = _Task(member, content, content.enter_context(member.open()))
        except DamagedInputError as error:
            self._outcomes.append((member, error))
            return
        if self._options.workers == 1 or member.only or _is_cheap(task):
            self._finish(task)
            return
        if member.size > _SMALL:
            self._hand_over(self._memory)
        self._batch.append(task)
        self._batch_bytes += member.size
        if member.size > _SMALL:
            self._hand_over(self._disk)
        elif self._batch_bytes >= _BATCH_BYTES or len(self._batch) >= _BATCH_MEMBERS:
            self._hand_over(self._memory)

    def outcomes(self) -> Iterator[tuple[Member, Outcome]]:
        """Wait until all members are read; yield each with its inventory, or with its damage."""
        if self._batch:
            self._hand_over(self._memory)
        if self._worker is not None:
            self._worker.end()
        return iter(self._outcomes)

    @cached_property
    def _memory(self) -> ByteBudget:
        return _room(_IN_MEMORY)

    @cached_property
    def _disk(self) -> ByteBudget:
        return _room(_ON_DISK)

    def _hand_over(self, room: ByteBudget) -> None:
        if not self._batch:
            return
        if self._worker is None:
            self._worker = _Worker(self._finish)
        with ExitStack() as place:
            place.enter_context(room.hold(self._batch_bytes))
            batch, self._batch, self._batch_bytes = self._batch, [], 0
            self._worker.give(batch, place.pop_all())

    def _finish(self, task: _Task) -> None:
        outcome: Outcome
        self._options.progress.item(task.member.path)
        try:
            with task.content:
                outcome = self._read(task.member.path, task.blob, self._options)
        except DamagedInputError as error:
            outcome = error
        if task.member.outer is None:
            self._read_bytes += task.member.size
        self._outcomes.append((task.member, outcome))

    def close(self) -> None:
        """End the thread; members that it has not begun are left unread."""
        for task in self._batch:
            task.content.close()
        if self._worker is not None:
            self._worker.stop()


def _room(size: int) -> ByteBudget:
    from smforge.inventory.byte_budget import ByteBudget  # noqa: PLC0415 - for what waits for a thread

    return ByteBudget(size)


def _is_cheap(task: _Task) -> bool:
    """Whether it is a small file of the host: nothing was unpacked, so nothing can overlap."""
    return task.member.size <= _SMALL and isinstance(task.blob, FileBlob)


class _Worker:
    """A thread that finishes tasks in order. After a failure it only gives back what they hold."""

    def __init__(self, finish: Callable[[_Task], None]) -> None:
        import threading  # noqa: PLC0415 - a single library needs no thread here
        from queue import SimpleQueue  # noqa: PLC0415

        self._finish = finish
        self._failure: BaseException | None = None
        self._stopped = False
        self._batches: SimpleQueue[tuple[list[_Task], ExitStack] | None] = SimpleQueue()
        self._thread: Thread = threading.Thread(
            target=self._work, name="smforge-member", daemon=True
        )
        self._thread.start()

    def give(self, batch: list[_Task], place: ExitStack) -> None:
        """Hand tasks over, with what to leave after them. Raises what an earlier one raised."""
        self._batches.put((batch, place))
        self._raise()

    def end(self) -> None:
        """Wait until all tasks are finished. Raises what one of them raised."""
        self._batches.put(None)
        self._thread.join()
        self._raise()

    def stop(self) -> None:
        """Finish the task under way, if any, and drop the others."""
        self._stopped = True
        self._batches.put(None)
        self._thread.join()

    def _raise(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        while (given := self._batches.get()) is not None:
            batch, place = given
            with place:
                for task in batch:
                    self._do(task)

    def _do(self, task: _Task) -> None:
        if self._stopped or self._failure is not None:
            task.content.close()
            return
        try:
            self._finish(task)
        except BaseException as error:
            self._failure = error
