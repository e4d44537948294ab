"""Reads CMake's trace of the build description: messages, refusals and external projects.

Source of the format: cmake(1), --trace-format=json-v1. Only the tree's own files are traced.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from smforge.findings import Location
from smforge.preflight.records import Choice, External, Skip

_DATA = Path(__file__).parent / "data" / "messages.json"
_STOPPING = frozenset({"FATAL_ERROR", "SEND_ERROR"})
_MODES = _STOPPING | {
    "WARNING", "AUTHOR_WARNING", "DEPRECATION", "NOTICE", "STATUS", "VERBOSE", "DEBUG", "TRACE",
    "CHECK_START", "CHECK_PASS", "CHECK_FAIL",
}  # fmt: skip
_KEYWORD = re.compile(r"[A-Z]+(?:_[A-Z]+)*")
_DETAILS = ("GIT_REPOSITORY", "GIT_TAG", "URL", "SOURCE_DIR")


@dataclass(frozen=True, slots=True)
class Message:
    """One call of ``message()``."""

    mode: str
    text: str
    location: Location


@dataclass(frozen=True, slots=True)
class Trace:
    """What the build description did, in order."""

    messages: tuple[Message, ...]
    externals: tuple[External, ...]
    """Declared without a directory of their own, by name; each once."""
    list_read: Location | None = None
    """Where the description takes from the arch list what it supports."""
    choices: tuple[Choice, ...] = ()
    """What it takes from the list, for all sources and for single ones."""

    def skips(self) -> tuple[Skip, ...]:
        """The messages that say something is left out, each once."""
        found = (Skip(one.text, one.location) for one in self.messages if _says_skip(one))
        return tuple(dict.fromkeys(found))

    def refusal(self) -> Message | None:
        """The first message that stops the configuration."""
        return next((one for one in self.messages if one.mode in _STOPPING), None)


def read_trace(path: Path, tree: Path) -> Trace:
    """Read a trace file; a last line that was cut short is left out."""
    messages: list[Message] = []
    externals: dict[str, External] = {}
    list_read = None
    choices: list[Choice] = []
    for call in _calls(path):
        command = call["cmd"].lower()
        location = Location(_relative(call["file"], tree), call["line"])
        if command == "message" and (message := _message(call["args"], location)):
            messages.append(message)
        elif command in {"fetchcontent_declare", "fetchcontent_populate"}:
            external = _external(call["args"], location)
            if external is not None:
                externals.setdefault(external.name, external)
        elif command in _table()["choices"]["commands"] and len(call["args"]) > 1:
            choices.append(_choice(call["args"], location))
            if _reads_list(command, call["args"]):
                list_read = location
    return Trace(tuple(messages), tuple(externals.values()), list_read, tuple(choices))


def _calls(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if '"cmd"' not in line or not line.endswith("\n"):
                continue
            yield json.loads(line)


def _message(arguments: list[str], location: Location) -> Message | None:
    mode, texts = ("NOTICE", arguments)
    if arguments and arguments[0] in _MODES:
        mode, texts = arguments[0], arguments[1:]
    text = " ".join("".join(texts).split())
    return Message(mode, text, location) if text else None


def _external(arguments: list[str], location: Location) -> External | None:
    """The project that a declaration fetches; None where it names a local directory or nothing.

    The short form of FetchContent_Populate repeats a declaration and has no details. In its long
    form SOURCE_DIR is where the download goes.
    """
    details = {key: value for key, value in pairwise(arguments[1:]) if key in _DETAILS}
    repository = details.get("GIT_REPOSITORY") or details.get("URL")
    if not arguments or repository is None:
        return None
    return External(
        arguments[0].lower(),
        repository,
        details.get("GIT_TAG"),
        location,
        submodules=tuple(_following(arguments, "GIT_SUBMODULES")),
    )


def _following(arguments: list[str], keyword: str) -> Iterator[str]:
    """The values after a keyword that takes several, up to the next keyword."""
    if keyword in arguments:
        for value in arguments[arguments.index(keyword) + 1 :]:
            if _KEYWORD.fullmatch(value):
                return
            yield value


def _choice(arguments: list[str], location: Location) -> Choice:
    """The first argument is set, the last is the list; what is supported stands between them."""
    supported = arguments[1] if len(arguments) > 2 else ""
    return Choice(arguments[0], supported, location)


def _reads_list(command: str, arguments: list[str]) -> bool:
    reader = _table()["list"]
    return bool(command == reader["command"] and arguments[:1] == [reader["into"]])


def _says_skip(message: Message) -> bool:
    if message.mode == "WARNING":
        return True
    return message.mode not in _STOPPING and bool(_skip_pattern().search(message.text))


@cache
def _skip_pattern() -> re.Pattern[str]:
    rows = _table()["skips"]
    return re.compile("|".join(row["pattern"] for row in rows), re.IGNORECASE)


@cache
def _table() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(_DATA.read_text(encoding="utf-8"))
    return content


def _relative(path: str, tree: Path) -> str:
    file = Path(path)
    return file.relative_to(tree).as_posix() if file.is_relative_to(tree) else file.as_posix()
