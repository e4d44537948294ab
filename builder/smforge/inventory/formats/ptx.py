"""PTX text: its ISA version, its target and its entry names (PTX ISA, "Directives")."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from smforge.arch.target import Target
from smforge.errors import ArchitectureError, DamagedInputError, LimitExceededError

_VERSION = re.compile(rb"^[ \t]*\.version[ \t]+(\d+)\.(\d+)", re.MULTILINE)
_TARGET = re.compile(rb"^[ \t]*\.target[ \t]+(sm_\d+[af]?)\b", re.MULTILINE)
_VERSION_ANYWHERE = re.compile(rb"\.version\s+(\d+)\.(\d+)")
_TARGET_ANYWHERE = re.compile(rb"\.target\s+(sm_\d+[af]?)\b")
_NAME = re.compile(rb"\.entry\s+([A-Za-z_$%][\w$]*)")
_COMMENT = re.compile(rb"/\*|//")
_ENTRY = b".entry"
_NEWLINE = 10
_GENERATED = re.compile(
    rb"(?://[^\n]*\n|\n)*\.version (\d+)\.(\d+)\n\.target (sm_\d+[af]?)\n\.address_size \d+\n"
)
"""How NVVM and LLVM write the first lines; fatbinary takes the comments out."""
_MOST_TEXT = 64 << 20
"""Bytes of a text that may have to be looked at together: one line, one comment."""


_MOST_DIGITS = 4


class PtxHeader(NamedTuple):
    """What the first directives of a PTX text say."""

    isa: tuple[int, int]
    target: Target


def looks_like_ptx(head: bytes) -> bool:
    """Tell PTX from other text by its first bytes, which must hold both first directives."""
    return b"\0" not in head and all(line.search(head) for line in (_VERSION, _TARGET))


def begins_with_version(head: bytes) -> bool:
    """Whether nothing but comments stands before ``.version``, as the language demands.

    Where other text does, the file is the source of a program that has a PTX text in a string.
    """
    return _without_comments(head).lstrip().startswith(b".version")


def parse_header(text: bytes) -> PtxHeader:
    """Read ``.version`` and ``.target``. Raises `DamagedInputError` where one is missing."""
    if generated := _GENERATED.match(text):
        major, minor, name = generated.groups()
    else:
        plain = _without_comments(text)
        version, target = _VERSION_ANYWHERE.search(plain), _TARGET_ANYWHERE.search(plain)
        if version is None or target is None:
            raise DamagedInputError("A PTX text does not begin with .version and .target.")
        major, minor, name = version[1], version[2], target[1]
    return PtxHeader((_number(major), _number(minor)), _target(name))


def _number(digits: bytes) -> int:
    if len(digits) > _MOST_DIGITS:
        raise DamagedInputError("The version of a PTX text is not plausible.")
    return int(digits)


@lru_cache(maxsize=256)
def _target(name: bytes) -> Target:
    try:
        return Target.parse(name.decode())
    except ArchitectureError as error:
        raise DamagedInputError(f"A PTX text is for no known target: {error.message}") from error


def generated_by_compiler(head: bytes) -> bool:
    """Tell whether the text begins, to the letter, as NVIDIA's and LLVM's compilers begin it."""
    return _GENERATED.match(head) is not None


def generated_entry_names(pieces: Iterable[bytes], most: int) -> tuple[str, ...]:
    """Return what `entry_names` returns, for a text that is `generated_by_compiler`.

    Compilers put ``.entry``, the name and ``(`` on one line, without parameters too, and use few
    other parentheses: looking for these instead of the word leaves unpacking as the only cost.
    """
    names: set[bytes] = set()
    # Of the line that a piece begins in: what follows its last parenthesis, and whether a comment
    # began before that.
    begun = bytearray()
    comment = False
    for piece in pieces:
        start = 0
        while (position := piece.find(b"(", start)) >= 0:
            # Most stand alone on their line, before the arguments of a call.
            if position and piece[position - 1] == _NEWLINE:
                comment = False
            else:
                line = piece.rfind(b"\n", start, position) + 1
                text = piece[line:position] if line else bytes(begun) + piece[start:position]
                comment = (comment and not line) or b"//" in text
                if _ENTRY in text and not comment and (match := _NAME.search(text)):
                    names.add(match[1])
            begun.clear()
            start = position + 1
        last = piece.rfind(b"\n", start) + 1
        if last:
            begun.clear()
            comment = False
        begun += piece[last or start :]
        check_text(len(begun))
        _check_names(names, most)
    return tuple(sorted(name.decode() for name in names))


def entry_names(pieces: Iterable[bytes], most: int) -> tuple[str, ...]:
    """Return the names of the kernels, sorted, from a text that comes in pieces.

    Raises `LimitExceededError` where there are more than `most`.
    """
    names: set[bytes] = set()
    remaining = iter(pieces)
    for text in _statements(remaining):
        if b"/*" in text:
            # Only a reader of the whole text knows where such a comment ends. nvcc writes none.
            names.update(_NAME.findall(_without_comments(_joined(text, remaining))))
        else:
            names.update(_entries(text))
        _check_names(names, most)
    return tuple(sorted(name.decode() for name in names))


def _statements(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Join and cut the pieces so that each ends where a line and a statement end."""
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        cut = piece.rfind(b";\n") + 2
        size += len(piece)
        check_text(size)
        if cut == 1:
            held.append(piece)
            continue
        size = len(piece) - cut
        yield b"".join((*held, piece[:cut]))
        held = [piece[cut:]]
    yield b"".join(held)


def _joined(text: bytes, more: Iterable[bytes]) -> bytes:
    parts = [text]
    size = len(text)
    for part in more:
        size += len(part)
        check_text(size)
        parts.append(part)
    return b"".join(parts)


def check_text(size: int) -> None:
    """Raise `LimitExceededError` where too many bytes of a text have to be looked at together."""
    if size > _MOST_TEXT:
        raise LimitExceededError(
            f"A PTX text cannot be read in parts: {size} bytes of it belong together."
        )


def _check_names(names: set[bytes], most: int) -> None:
    if len(names) > most:
        raise LimitExceededError(f"A PTX text has more than {most} kernels.")


def _without_comments(text: bytes) -> bytes:
    """Put a blank in place of each comment."""
    parts = []
    start = 0
    while (comment := _COMMENT.search(text, start)) is not None:
        parts.append(text[start : comment.start()])
        closing = b"*/" if comment[0] == b"/*" else b"\n"
        end = text.find(closing, comment.end())
        # The newline that ends a comment stays: it ends a line, too.
        start = len(text) if end < 0 else end + len(closing.strip())
    parts.append(text[start:])
    return b" ".join(parts)


def _entries(text: bytes) -> Iterator[bytes]:
    # Finding the word first is ten times faster than a multi-line expression.
    before = 0
    comment = False
    while (position := text.find(_ENTRY, before)) >= 0:
        line = text.rfind(b"\n", before, position) + 1
        comment = (comment and not line) or b"//" in text[line or before : position]
        match = None if comment else _NAME.match(text, position)
        if match:
            yield match[1]
        before = position + len(_ENTRY)
