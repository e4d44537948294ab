"""Changes values in the text of a JSON file and leaves the rest of the text as it is.

An object whose keys stay the same is only entered. An object that gets or loses keys is laid out
anew, with the text of the members that stay. A new value is written on one line where that fits,
as people write a matrix.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_WIDTH = 100
"""The longest line that a new value is written on."""
_SPACE = re.compile(r"[ \t\r\n]*")
_INDENTED = re.compile(r"\n([ \t]+)\S")


@dataclass(frozen=True, slots=True)
class _Member:
    """A member of an object: the place of its key, and its value."""

    start: int
    value: _Node


@dataclass(frozen=True, slots=True)
class _Node:
    """A value in the text; `members` are those of an object, and None for anything else."""

    start: int
    end: int
    members: Mapping[str, _Member] | None = None


def rewritten(text: str, value: Any) -> str:
    """The text of a JSON file with another content.

    `text` is valid JSON in which no object has a key twice. It stays as it is where `value` is what
    it holds, keys in the same order.
    """
    root = _read(text, _after_space(text, 0))
    return text[: root.start] + _Writer(text).changed(root, value) + text[root.end :]


def _read(text: str, start: int) -> _Node:
    if text[start] != "{":
        return _Node(start, json.JSONDecoder().raw_decode(text, start)[1])
    members: dict[str, _Member] = {}
    place = _after_space(text, start + 1)
    while text[place] != "}":
        key, end = json.JSONDecoder().raw_decode(text, place)
        colon = _after_space(text, end)
        value = _read(text, _after_space(text, colon + 1))
        members[key] = _Member(place, value)
        place = _after_space(text, value.end)
        if text[place] == ",":
            place = _after_space(text, place + 1)
    return _Node(start, place + 1, members)


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return at if match is None else match.end()


class _Writer:
    """Writes values in the style of a text: its line ends and its indentation."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._newline = "\r\n" if "\r\n" in text else "\n"
        first = _INDENTED.search(text)
        self._step = first[1] if first else "  "

    def changed(self, node: _Node, value: Any) -> str:
        """The text of a value of the file that is to be `value`."""
        members = node.members
        if members is None or not isinstance(value, dict):
            text = self._text[node.start : node.end]
            if json.dumps(json.loads(text)) == json.dumps(value):
                return text
            return self._fresh(value, self._indent_at(node.start), self._column(node.start))
        if list(members) == list(value):
            return "".join(self._entered(node, members, value))
        return self._laid_out(node, members, value)

    def _entered(
        self, node: _Node, members: Mapping[str, _Member], value: dict[str, Any]
    ) -> Iterator[str]:
        done = node.start
        for key, member in members.items():
            yield self._text[done : member.value.start]
            yield self.changed(member.value, value[key])
            done = member.value.end
        yield self._text[done : node.end]

    def _laid_out(self, node: _Node, members: Mapping[str, _Member], value: dict[str, Any]) -> str:
        """An object with other keys: on one line if it was on one and still fits."""
        indent = self._indent_at(node.start)
        parts = [
            self._kept(members[key], one) if key in members else self._new(key, one, indent)
            for key, one in value.items()
        ]
        line = "{" + ", ".join(parts) + "}"
        was_one_line = bool(members) and "\n" not in self._text[node.start : node.end]
        if not parts or (was_one_line and self._fits(line, self._column(node.start))):
            return line
        return self._on_lines(parts, indent)

    def _kept(self, member: _Member, value: Any) -> str:
        key = self._text[member.start : member.value.start]
        return key + self.changed(member.value, value)

    def _new(self, key: str, value: Any, indent: str) -> str:
        inner = indent + self._step
        name = json.dumps(key, ensure_ascii=False) + ": "
        return name + self._fresh(value, inner, len(inner) + len(name))

    def _fresh(self, value: Any, indent: str, column: int) -> str:
        """A value that the file did not have; its line has `indent`, and it begins at `column`."""
        line = json.dumps(value, ensure_ascii=False)
        if not isinstance(value, dict) or not value or self._fits(line, column):
            return line
        return self._on_lines([self._new(key, one, indent) for key, one in value.items()], indent)

    def _on_lines(self, parts: list[str], indent: str) -> str:
        inner = self._newline + indent + self._step
        return "{" + ",".join(inner + one for one in parts) + self._newline + indent + "}"

    @staticmethod
    def _fits(line: str, column: int) -> bool:
        return "\n" not in line and column + len(line) + 1 <= _WIDTH  # a comma may follow

    def _column(self, place: int) -> int:
        return place - self._line_start(place)

    def _indent_at(self, place: int) -> str:
        """The white space at the beginning of the line of a place."""
        start = self._line_start(place)
        match = re.match(r"[ \t]*", self._text[start:place])
        return "" if match is None else match.group()

    def _line_start(self, place: int) -> int:
        return self._text.rfind("\n", 0, place) + 1
