"""The journal of a run: a JSON line for every step, written to the disk before the next step.

``OUT/journal.jsonl`` belongs to the last run in OUT. Its first line says what was asked for, so a
run that was killed can be finished by ``smforge build --resume``. A line is appended in one write
and synchronised; a torn last line, which only a machine that stops can leave, counts as not
written. Whoever may write to OUT may write a journal, so it is checked like any other input.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from smforge.bake.record import Sha256
from smforge.errors import BuildFailedError, DamagedInputError, UsageError, first_problem
from smforge.files import read_small
from smforge.version import __version__
from smforge.workflow.farm.request import BuildRequest
from smforge.writing import write_whole

JOURNAL_NAME = "journal.jsonl"
SCHEMA_VERSION: Literal[1] = 1
_MOST_BYTES = 64 << 20
"""Two lines for each of 2,000 cells are half a million bytes."""


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    at: datetime


class _Process(_Line):
    host: str
    pid: Annotated[int, Field(ge=1)]
    command: tuple[str, ...]
    smforge: str


class Begun(_Process):
    """A run begins."""

    event: Literal["begun"] = "begun"
    schema_version: Literal[1] = SCHEMA_VERSION
    request: BuildRequest
    cells: tuple[str, ...]


class Resumed(_Process):
    """Another process goes on with the run."""

    event: Literal["resumed"] = "resumed"


class CellBegun(_Line):
    """The build of a cell begins."""

    event: Literal["cell-begun"] = "cell-begun"
    cell: str


class CellEnded(_Line):
    """The build of a cell has ended, and everything that it wrote is in its place."""

    event: Literal["cell-ended"] = "cell-ended"
    cell: str
    result: str
    exit_code: Annotated[int, Field(ge=0)]
    inputs_sha256: Sha256 | None


class Ended(_Line):
    """The run has ended, and its manifest is written."""

    event: Literal["ended"] = "ended"
    exit_code: Annotated[int, Field(ge=0)]


Event = Begun | Resumed | CellBegun | CellEnded | Ended
_EVENTS: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])


@dataclass(frozen=True, slots=True)
class History:
    """What a journal says."""

    begun: Begun
    events: tuple[Event, ...]
    """All lines after the first."""

    @property
    def ended(self) -> bool:
        """Whether the run came to its end."""
        return any(isinstance(one, Ended) for one in self.events[-1:])

    @property
    def passed(self) -> frozenset[str]:
        """The names of the cells that have passed in this run."""
        ends = (one for one in self.events if isinstance(one, CellEnded))
        return frozenset(one.cell for one in ends if one.exit_code == 0)

    @property
    def holder(self) -> str:
        """The process that wrote last, for people."""
        writers = [one for one in (self.begun, *self.events) if isinstance(one, Begun | Resumed)]
        last = writers[-1]
        since = last.at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
        return f"process {last.pid} on {last.host} since {since}: {' '.join(last.command)}"


class Journal:
    """The journal of the run that is going on; only the process that holds the run writes it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def begin(cls, out: Path, request: BuildRequest, cells: Sequence[str]) -> Journal:
        """A new journal in place of the one of the run before."""
        path = out / JOURNAL_NAME
        first = Begun(request=request, cells=tuple(cells), **_here())
        write_whole(path, _text(first))
        return cls(path)

    @classmethod
    def resume(cls, out: Path) -> Journal:
        """The journal of the last run, to be continued."""
        path = out / JOURNAL_NAME
        whole = path.read_bytes().rpartition(b"\n")
        os.truncate(path, len(whole[0]) + len(whole[1]))
        journal = cls(path)
        journal.add(Resumed(**_here()))
        return journal

    def add(self, event: Event) -> None:
        """Append a line, and return when the disk has it.

        Raises `BuildFailedError` where it cannot be written.
        """
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            line = _text(event).encode()
            try:
                if os.write(descriptor, line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise BuildFailedError(
                f"The journal {self._path} cannot be written: {error.strerror or error}.",
                remedy="Free space, then run 'smforge build --resume'.",
            ) from error


def now() -> datetime:
    """The time of a line."""
    return datetime.now(UTC)


def read_journal(out: Path) -> History | None:
    """The journal of the last run in `out`; None where there is none.

    Raises `DamagedInputError` for what this version cannot use.
    """
    path = out / JOURNAL_NAME
    try:
        data = read_small(path, _MOST_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DamagedInputError(f"{path} cannot be read: {error.strerror or error}.") from error
    # What follows the last newline is a line that was not written whole.
    lines = data.split(b"\n")[:-1]
    try:
        events = [_EVENTS.validate_json(line) for line in lines]
    except ValidationError as error:
        place, problem = first_problem(error)
        raise _unusable(path, f"at {place or 'its beginning'}, {problem}") from error
    if not events or not isinstance(events[0], Begun):
        raise _unusable(path, "its first line does not begin a run")
    return History(events[0], tuple(events[1:]))


def last_run(out: Path) -> History:
    """The last run in `out`. Raises `UsageError` where there was none."""
    history = read_journal(out)
    if history is None:
        raise UsageError(
            f"There was no run in {out}: it has no {JOURNAL_NAME}.",
            remedy="Name the directory that a build wrote to, or build without --resume.",
        )
    return history


def _unusable(path: Path, why: str) -> DamagedInputError:
    return DamagedInputError(
        f"{path} is no journal that this smforge can use: {why}.",
        remedy="Build without --resume: what is up to date is kept.",
    )


def _text(event: Event) -> str:
    return json.dumps(event.model_dump(mode="json"), ensure_ascii=False) + "\n"


def _here() -> dict[str, Any]:
    """This process."""
    return {
        "at": now(),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "command": ("smforge", *sys.argv[1:]),
        "smforge": __version__,
    }
