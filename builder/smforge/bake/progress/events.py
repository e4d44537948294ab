"""Reads what ``buildx --progress=rawjson`` prints: one BuildKit SolveStatus object per line.

The format is that of ``client.SolveStatus`` in BuildKit: lists of vertexes, statuses, logs (base64)
and warnings. buildx mixes plain text into the same stream (the final error, for one), so a line
that is not such an object is not an error: it is kept, whole, as a `PlainLine`.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Vertex:
    """One step of the build graph, as it is now. The same digest is reported again and again."""

    digest: str
    name: str
    inputs: tuple[str, ...] = ()
    started: datetime | None = None
    completed: datetime | None = None
    cached: bool = False
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """Progress within a vertex: a transfer, an export."""

    vertex: str
    name: str
    current: int
    total: int
    completed: bool


@dataclass(frozen=True, slots=True)
class Log:
    """Output of a vertex. A piece may end in the middle of a line, and of a character."""

    vertex: str
    data: bytes
    timestamp: datetime | None


@dataclass(frozen=True, slots=True)
class BuildWarning:
    """What BuildKit warns about, mostly in the Dockerfile."""

    vertex: str
    message: str


@dataclass(frozen=True, slots=True)
class PlainLine:
    """Text that is no SolveStatus: buildx's own messages, the final error."""

    text: str


Event = Vertex | Status | Log | BuildWarning | PlainLine


class _UnexpectedShapeError(ValueError):
    """The line is JSON, but not a SolveStatus."""


def parse_line(line: bytes) -> tuple[Event, ...]:
    """Return the events of one line; any line that is no SolveStatus gives one `PlainLine`."""
    text = line.decode("utf-8", errors="replace").rstrip("\r\n")
    if not text.strip():
        return ()
    try:
        return _events(json.loads(text))
    # RecursionError: a line of ten thousand brackets.
    except (ValueError, RecursionError):
        return (PlainLine(text),)


def _events(status: Any) -> tuple[Event, ...]:
    readers = (
        ("vertexes", _vertex),
        ("statuses", _status),
        ("logs", _log),
        ("warnings", _warning),
    )
    if not isinstance(status, dict) or not any(key in status for key, _ in readers):
        raise _UnexpectedShapeError
    return tuple(read(item) for key, read in readers for item in _objects(status, key))


def _vertex(item: dict[str, Any]) -> Vertex:
    inputs = item.get("inputs") or []
    if not isinstance(inputs, list):
        raise _UnexpectedShapeError
    return Vertex(
        digest=_text(item, "digest"),
        name=_text(item, "name"),
        inputs=tuple(str(digest) for digest in inputs),
        started=_time(item, "started"),
        completed=_time(item, "completed"),
        cached=item.get("cached") is True,
        error=_text(item, "error") or None,
    )


def _status(item: dict[str, Any]) -> Status:
    return Status(
        vertex=_text(item, "vertex"),
        name=_text(item, "name") or _text(item, "id"),
        current=_number(item, "current"),
        total=_number(item, "total"),
        completed=_time(item, "completed") is not None,
    )


def _log(item: dict[str, Any]) -> Log:
    data = base64.b64decode(_text(item, "data"), validate=True)
    return Log(vertex=_text(item, "vertex"), data=data, timestamp=_time(item, "timestamp"))


def _warning(item: dict[str, Any]) -> BuildWarning:
    short = base64.b64decode(_text(item, "short"), validate=True)
    return BuildWarning(
        vertex=_text(item, "vertex"), message=short.decode("utf-8", errors="replace")
    )


def _objects(status: dict[str, Any], key: str) -> list[dict[str, Any]]:
    items = status.get(key) or []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise _UnexpectedShapeError
    return items


def _text(item: dict[str, Any], key: str) -> str:
    value = item.get(key, "")
    if not isinstance(value, str):
        raise _UnexpectedShapeError
    return value


def _number(item: dict[str, Any], key: str) -> int:
    value = item.get(key, 0)
    if not isinstance(value, int):
        raise _UnexpectedShapeError
    return value


def _time(item: dict[str, Any], key: str) -> datetime | None:
    text = _text(item, key)
    if not text or text.startswith("0001-"):  # Go's zero time: not set
        return None
    moment = datetime.fromisoformat(text)
    # Moments are compared with each other, so each needs its zone; Go's JSON always has one.
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
