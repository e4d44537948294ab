"""Members read in the background: none is lost, none stays open, and what waits is bounded."""

from __future__ import annotations

import threading
from contextlib import closing, contextmanager
from typing import Any

import pytest

from smforge.errors import DamagedInputError
from smforge.inventory.background_reader import BackgroundReader
from smforge.inventory.formats.blob import BytesBlob, FileBlob
from smforge.inventory.options import ReadOptions
from smforge.inventory.records import FileInventory
from smforge.inventory.subjects.members import Member

MIB = 1 << 20


class Contents:
    """Makes members, and counts what of them is open."""

    def __init__(self) -> None:
        self.open = 0
        self.most = 0
        self._lock = threading.Lock()

    def member(self, path: str, size: int) -> Member:
        @contextmanager
        def opened():
            self._count(size)
            try:
                yield BytesBlob(path.encode())
            finally:
                self._count(-size)

        return Member(path, size, opened)

    def _count(self, size: int) -> None:
        with self._lock:
            self.open += size
            self.most = max(self.most, self.open)


def read(path, blob, options):
    """Give back a file that holds the blob's bytes as its path."""
    assert threading.current_thread().name == "smforge-member" or options.workers == 1
    if path.startswith("damaged"):
        raise DamagedInputError(f"{path} is damaged")
    if path.startswith("defect"):
        raise RuntimeError(path)
    return FileInventory(blob.read_at(0, blob.size).decode(), blob.size, None, ())


@pytest.mark.parametrize("workers", [1, None])
def test_every_member_has_its_outcome(workers):
    contents = Contents()
    sizes = [10, 3 * MIB, 0, 40 * MIB, *[5000] * 300, 2 << 30]
    with closing(BackgroundReader(read, ReadOptions(workers=workers))) as reader:
        for number, size in enumerate(sizes):
            reader.take(contents.member(f"{number}", size))
        reader.take(contents.member("damaged", 7))
        outcomes: dict[str, Any] = {member.path: outcome for member, outcome in reader.outcomes()}

    assert {path: one.path for path, one in outcomes.items() if path != "damaged"} == {
        str(number): str(number) for number in range(len(sizes))
    }
    assert str(outcomes["damaged"]) == "damaged is damaged"
    assert contents.open == 0


def test_what_waits_is_bounded():
    contents = Contents()
    started = threading.Event()

    def slow(path, blob, options):
        # The first one keeps the others waiting until there is no more room.
        started.wait(0.5)
        started.set()

    with closing(BackgroundReader(slow, ReadOptions())) as reader:
        for number in range(20):
            reader.take(contents.member(f"{number}", 5 * MIB))
        assert len(list(reader.outcomes())) == 20
    assert 5 * MIB < contents.most <= (24 + 5) * MIB


def test_members_beyond_the_limit_are_not_opened():
    contents = Contents()
    with closing(BackgroundReader(read, ReadOptions())) as reader:
        reader.take(contents.member("huge", 1 << 60))
        ((_, outcome),) = reader.outcomes()
    assert isinstance(outcome, DamagedInputError)
    assert contents.most == 0


def test_a_defect_of_a_reader_is_raised_and_nothing_stays_open():
    contents = Contents()

    def failing() -> None:
        with closing(BackgroundReader(read, ReadOptions())) as reader:
            for number in range(100):
                reader.take(contents.member("defect" if number == 3 else "x", MIB))
            reader.outcomes()

    with pytest.raises(RuntimeError, match="defect"):
        failing()
    assert contents.open == 0


def test_giving_up_closes_what_waits():
    contents = Contents()

    def interrupted() -> None:
        with closing(BackgroundReader(read, ReadOptions())) as reader:
            for number in range(10):
                reader.take(contents.member(f"{number}", MIB if number < 9 else 10))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert contents.open == 0


def test_small_files_of_the_host_are_read_at_once(tmp_path):
    (tmp_path / "small").write_bytes(b"small")
    seen = []

    def note(path, blob, options):
        seen.append(threading.current_thread() is threading.main_thread())

    with closing(BackgroundReader(note, ReadOptions())) as reader:
        reader.take(Member("small", 5, lambda: FileBlob.from_path(tmp_path / "small")))
        assert seen == [True]


def test_a_subject_of_one_file_is_read_without_a_thread():
    def read_here(path, blob, options):
        assert threading.current_thread() is threading.main_thread()
        return FileInventory(path, blob.size, None, ())

    member = Contents().member("lone.so", 40 * MIB)._replace(only=True)
    with closing(BackgroundReader(read_here, ReadOptions())) as reader:
        reader.take(member)
        ((_, found),) = reader.outcomes()
    assert isinstance(found, FileInventory)
    assert found.path == "lone.so"
