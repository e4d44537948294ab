"""The state of each target, made from BuildKit's events: which step it is at, and how far.

`BuildState.apply` returns what the event changed (a step began, a step ended, a line of output), so
that the log files and the displays need no second reading of the events.
"""

from __future__ import annotations

import codecs
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from smforge.bake.progress.events import BuildWarning, Event, Log, PlainLine, Status, Vertex
from smforge.bake.progress.steps import StepName, parse_name

GENERAL = "bake"
"""Stands for the call as a whole, where output belongs to no target."""

TAIL_LINES = 400
"""How much of a step's output is kept for the report of its failure."""

_CANCELLED = "context canceled"


@dataclass(slots=True)
class Step:
    """One vertex as one target sees it."""

    digest: str
    name: StepName
    started: datetime | None = None
    completed: datetime | None = None
    cached: bool = False
    error: str | None = None
    announced: bool = False
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))

    @property
    def running(self) -> bool:
        """Begun and not ended."""
        return self.started is not None and self.completed is None

    @property
    def cancelled(self) -> bool:
        """Whether it was stopped because something else failed, or on request."""
        return self.error is not None and _CANCELLED in self.error

    @property
    def seconds(self) -> float:
        """How long it ran; 0 while it does."""
        return _seconds(self.started, self.completed)


@dataclass(slots=True)
class TargetState:
    """One bake target; its steps in the order in which BuildKit named them."""

    name: str
    steps: dict[str, Step] = field(default_factory=dict)

    @property
    def numbered(self) -> list[Step]:
        """The steps that stand for an instruction of the Dockerfile."""
        return [step for step in self.steps.values() if step.name.number is not None]

    @property
    def done(self) -> int:
        """How many instructions ended well."""
        return sum(step.completed is not None and not step.error for step in self.numbered)

    @property
    def cached_steps(self) -> int:
        """How many instructions came from the cache."""
        return sum(step.completed is not None and step.cached for step in self.numbered)

    @property
    def cached(self) -> bool:
        """Whether every instruction came from the cache.

        Those that BuildKit never looked at count too: what depends on them was in the cache.
        """
        done = [step for step in self.numbered if step.completed is not None]
        return bool(done) and all(step.cached for step in done)

    @property
    def running(self) -> Step | None:
        """The step that was begun last and is not complete; instructions before the rest."""
        steps = [step for step in self.steps.values() if step.running]
        steps.sort(key=lambda step: (step.name.number is not None, step.started))
        return steps[-1] if steps else None

    @property
    def failed(self) -> Step | None:
        """The step whose own failure ended the target, not one that was cancelled for it."""
        steps = [step for step in self.steps.values() if step.error]
        return next((step for step in steps if not step.cancelled), None)

    @property
    def started(self) -> datetime | None:
        """When its first step began."""
        return min((s.started for s in self.steps.values() if s.started), default=None)

    @property
    def completed(self) -> datetime | None:
        """When its last step so far ended."""
        return max((s.completed for s in self.steps.values() if s.completed), default=None)

    @property
    def seconds(self) -> float:
        """Wall time from its first step to its last, the waiting for other targets included."""
        return _seconds(self.started, self.completed)


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A step began."""

    target: str
    step: Step


@dataclass(frozen=True, slots=True)
class StepEnded:
    """A step is complete, from the cache or not, well or not."""

    target: str
    step: Step


@dataclass(frozen=True, slots=True)
class OutputLine:
    """One whole line of output; `step` is None for what buildx says itself."""

    target: str
    step: Step | None
    text: str
    timestamp: datetime | None = None


Change = StepStarted | StepEnded | OutputLine


class _LineBuffer:
    """Joins pieces of output into lines; of a line redrawn with carriage returns the last form."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._rest = ""

    def feed(self, data: bytes, *, final: bool = False) -> Iterator[str]:
        text = self._rest + self._decoder.decode(data, final)
        *lines, self._rest = text.split("\n")
        if final and self._rest:
            lines.append(self._rest)
            self._rest = ""
        for line in lines:
            yield line.rstrip("\r").rpartition("\r")[2]


class BuildState:
    """All targets of one bake call.

    `began` is when the call was made. BuildKit lets builds share a running step and then reports
    the beginning it had for the first of them, which is not time that this call took.
    """

    def __init__(self, targets: Collection[str], began: datetime | None = None) -> None:
        self._known = tuple(targets)
        self._began = began
        self.targets = {name: TargetState(name) for name in self._known}
        self.general = TargetState(GENERAL)
        self.plain: deque[str] = deque(maxlen=TAIL_LINES)
        """What buildx said outside of any step; the final error is its end."""
        self.warnings: list[str] = []
        self._buffers: dict[str, _LineBuffer] = {}

    def apply(self, event: Event) -> tuple[Change, ...]:
        """Take in one event and return what it changed."""
        match event:
            case Vertex():
                return tuple(self._vertex(event))
            case Log():
                return tuple(self._log(event))
            case PlainLine(text):
                self.plain.append(text)
                return (OutputLine(GENERAL, None, text),)
            case BuildWarning(message=message):
                if message not in self.warnings:
                    self.warnings.append(message)
                return (OutputLine(GENERAL, None, f"warning: {message}"),)
            case Status():
                return ()

    @property
    def failed(self) -> tuple[str, Step] | None:
        """The target and step that failed by themselves first."""
        found = [(t.name, t.failed) for t in (*self.targets.values(), self.general) if t.failed]
        ended = [(name, step) for name, step in found if step is not None]
        return min(ended, key=lambda pair: _when(pair[1])) if ended else None

    def _vertex(self, vertex: Vertex) -> Iterator[Change]:
        name = parse_name(vertex.name, self._known)
        target = self.targets.get(name.target or "", self.general)
        step = target.steps.setdefault(vertex.digest, Step(vertex.digest, name))
        step.error = vertex.error
        if vertex.started is None:
            return
        # BuildKit begins some steps again (a context asked for twice, a step whose other build was
        # cancelled): the first beginning counts, and a step that runs again is not complete.
        step.started = step.started or max(vertex.started, self._began or vertex.started)
        if not step.announced:
            step.announced = True
            yield StepStarted(target.name, step)
        if vertex.completed is None:
            step.completed, step.cached = None, False
        elif step.completed is None:
            yield from self._flush(vertex.digest, vertex.completed)
            step.completed, step.cached = vertex.completed, vertex.cached
            yield StepEnded(target.name, step)

    def _log(self, log: Log) -> Iterator[Change]:
        buffer = self._buffers.setdefault(log.vertex, _LineBuffer())
        for text in buffer.feed(log.data):
            yield from self._line(log.vertex, text, log.timestamp)

    def _flush(self, digest: str, at: datetime) -> Iterator[Change]:
        buffer = self._buffers.pop(digest, None)
        for text in buffer.feed(b"", final=True) if buffer else ():
            yield from self._line(digest, text, at)

    def _line(self, digest: str, text: str, at: datetime | None) -> Iterator[Change]:
        """Give the line to every target that has the step: targets share steps, logs name none."""
        for target in (*self.targets.values(), self.general):
            if (step := target.steps.get(digest)) is not None:
                step.tail.append(text)
                yield OutputLine(target.name, step, text, at)


def _seconds(begin: datetime | None, end: datetime | None) -> float:
    return max(0.0, (end - begin).total_seconds()) if begin and end else 0.0


def _when(step: Step) -> datetime:
    """When it ended, to find what failed first; what tells no time comes last."""
    return step.completed or step.started or datetime.max.replace(tzinfo=UTC)
