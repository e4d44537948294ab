"""PTX text: its ISA version, its target and its entry names (PTX ISA, "Directives")."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from smforge.arch.target import Target
from smforge.errors import ArchitectureError, DamagedInputError

_VERSION = re.compile(rb"^[ \t]*\.version[ \t]+(\d+)\.(\d+)", re.MULTILINE)
_TARGET = re.compile(rb"^[ \t]*\.target[ \t]+(sm_\d+[af]?)\b", re.MULTILINE)
_NAME = re.compile(rb"\.entry\s+([A-Za-z_$%][\w$]*)")
_COMMENT = re.compile(rb"/\*.*?\*/|//[^\n]*", re.DOTALL)
_ENTRY = b".entry"
_NEWLINE = 10
_GENERATED = re.compile(
    rb"(?://[^\n]*\n|\n)*\.version \d+\.\d+\n\.target sm_\d+[af]?\n\.address_size \d+\n"
)
"""How NVVM and LLVM write the first lines; fatbinary takes the comments out."""


class PtxHeader(NamedTuple):
    """What the first directives of a PTX text say."""

    isa: tuple[int, int]
    target: Target


def looks_like_ptx(head: bytes) -> bool:
    """Tell PTX from other text by its first bytes, which must hold both first directives."""
    return b"\0" not in head and all(line.search(head) for line in (_VERSION, _TARGET))


def parse_header(text: bytes) -> PtxHeader:
    """Read ``.version`` and ``.target``. Raises `DamagedInputError` where one is missing."""
    plain = _COMMENT.sub(b"", text)
    version, target = _VERSION.search(plain), _TARGET.search(plain)
    if version is None or target is None:
        raise DamagedInputError("A PTX text does not begin with .version and .target.")
    try:
        return PtxHeader((int(version[1]), int(version[2])), Target.parse(target[1].decode()))
    except ArchitectureError as error:
        raise DamagedInputError(f"A PTX text is for no known target: {error.message}") from error


def generated_by_compiler(head: bytes) -> bool:
    """Tell whether the text begins, to the letter, as NVIDIA's and LLVM's compilers begin it."""
    return _GENERATED.match(head) is not None


def generated_entry_names(pieces: Iterable[bytes]) -> tuple[str, ...]:
    """Return what `entry_names` returns, for a text that is `generated_by_compiler`.

    Compilers put ``.entry``, the name and ``(`` on one line, without parameters too, and use few
    other parentheses: looking for these instead of the word leaves unpacking as the only cost.
    """
    names: set[bytes] = set()
    begun = b""
    for piece in pieces:
        position = piece.find(b"(")
        while position >= 0:
            # Most stand alone on their line, before the arguments of a call.
            if not position or piece[position - 1] != _NEWLINE:
                line = piece.rfind(b"\n", 0, position) + 1
                text = piece[line:position] if line else begun + piece[:position]
                if _ENTRY in text and (match := _NAME.search(text)) and b"//" not in text:
                    names.add(match[1])
            position = piece.find(b"(", position + 1)
        last = piece.rfind(b"\n") + 1
        begun = piece[last:] if last else begun + piece
    return tuple(sorted(name.decode() for name in names))


def entry_names(pieces: Iterable[bytes]) -> tuple[str, ...]:
    """Return the names of the kernels, sorted, from a text that comes in pieces."""
    names: set[bytes] = set()
    remaining = iter(pieces)
    for text in _statements(remaining):
        if b"/*" in text:
            # Only a reader of the whole text knows where such a comment ends. nvcc writes none.
            whole = b"".join((text, *remaining))
            names.update(_NAME.findall(_COMMENT.sub(b" ", whole)))
        else:
            names.update(_entries(text))
    return tuple(sorted(name.decode() for name in names))


def _statements(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Join and cut the pieces so that each ends where a line and a statement end."""
    held: list[bytes] = []
    for piece in pieces:
        cut = piece.rfind(b";\n") + 2
        if cut == 1:
            held.append(piece)
            continue
        yield b"".join((*held, piece[:cut]))
        held = [piece[cut:]]
    yield b"".join(held)


def _entries(text: bytes) -> Iterator[bytes]:
    # Finding the word first is ten times faster than a multi-line expression.
    position = text.find(_ENTRY)
    while position >= 0:
        line = text.rfind(b"\n", 0, position) + 1
        match = _NAME.match(text, position)
        if match and b"//" not in text[line:position]:
            yield match[1]
        position = text.find(_ENTRY, position + len(_ENTRY))
