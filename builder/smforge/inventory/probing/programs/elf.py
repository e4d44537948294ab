"""Reads what the dynamic loader would read of a 64-bit little-endian ELF file."""

from __future__ import annotations

import os
import re
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_LIBRARY = re.compile(r".*\.so(\.\d+)*\Z")
_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_NEEDED, _DT_STRTAB, _DT_STRSZ = 1, 5, 10
_MOST_BYTES = 1 << 26
Segment = tuple[int, int, int, int]
"""Kind, place in the file, address, bytes in the file."""


@dataclass(frozen=True)
class Linking:
    """What a library asks of others."""

    needed: tuple[str, ...] = ()
    """DT_NEEDED."""
    strings: bytes = b""
    """The string table of its dynamic symbols."""


def libraries() -> Iterator[tuple[str, Linking]]:
    """Every library below the folders that Python packages are installed in."""
    folders = (Path(entry).resolve() for entry in sys.path if entry)
    for folder in dict.fromkeys(folders):
        if folder.name in {"site-packages", "dist-packages"}:
            for place, _, names in os.walk(folder):
                for name in names:
                    path = os.path.join(place, name)  # noqa: PTH118 - a Path for each costs time
                    if _LIBRARY.match(name) and not os.path.islink(path):  # noqa: PTH114
                        yield path, linking(path)


def linking(path: str) -> Linking:
    """Read one file; empty for what is no such ELF file, or is damaged."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - names come by the thousand
            return _read(file)
    except (OSError, OverflowError, ValueError, struct.error):
        return Linking()


def _read(file: IO[bytes]) -> Linking:
    head = file.read(64)
    if head[:6] != b"\x7fELF\x02\x01" or len(head) < 64:
        return Linking()
    offset, size, count = struct.unpack("<32xQ14xHH6x", head)
    file.seek(offset)
    table = file.read(size * count)
    rows = [struct.unpack_from("<I4xQQ8xQ", table, at * size) for at in range(count)]
    tags = _dynamic(file, rows)
    if not (tags.get(_DT_STRTAB) and tags.get(_DT_STRSZ)):
        return Linking()
    address, length = tags[_DT_STRTAB][0], min(tags[_DT_STRSZ][0], _MOST_BYTES)
    for kind, place, start, held in rows:
        if kind == _PT_LOAD and start <= address < start + held:
            file.seek(place + address - start)
            strings = file.read(length)
            needed = tuple(_string(strings, at) for at in tags.get(_DT_NEEDED, []))
            return Linking(needed, strings)
    return Linking()


def _dynamic(file: IO[bytes], rows: list[Segment]) -> dict[int, list[int]]:
    tags: dict[int, list[int]] = {}
    for kind, place, _, size in rows:
        if kind == _PT_DYNAMIC:
            file.seek(place)
            data = file.read(min(size, _MOST_BYTES))
            for tag, value in struct.iter_unpack("<qQ", data[: len(data) // 16 * 16]):
                tags.setdefault(tag, []).append(value)
    return tags


def _string(table: bytes, place: int) -> str:
    return table[place : max(place, table.find(b"\0", place))].decode("utf-8", "replace")
