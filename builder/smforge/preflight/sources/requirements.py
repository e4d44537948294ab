"""The versions that sources require: of torch, which they are built with, and of FlashInfer.

Which files say so, and of which distributions it matters, is in data/sources.json.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from smforge.findings import Location
from smforge.preflight.records import Required

_DATA = Path(__file__).parent / "data" / "sources.json"


def read_required(tree: Path) -> tuple[Required, ...]:
    """What a tree requires, each statement with its place, in the order of the files."""
    return tuple(one for row in _table()["files"] for one in _read(tree, row))


def _read(tree: Path, row: dict[str, Any]) -> Iterator[Required]:
    file = tree / row["file"]
    if not file.is_file():
        return
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    for number, line in enumerate(lines, start=1):
        text = _statement(line, row)
        try:
            found = Requirement(text) if text else None
        except InvalidRequirement:
            continue  # an option of pip's, or a line that goes on
        if found is None or not found.specifier:
            continue
        if (name := canonicalize_name(found.name)) in _table()["distributions"]:
            yield Required(name, str(found.specifier), Location(row["file"], number))


def _statement(line: str, row: dict[str, Any]) -> str:
    """The requirement that a line states; empty where it states none."""
    if "pattern" not in row:
        return line.partition("#")[0].partition(";")[0].strip()
    match = re.search(row["pattern"], line)
    return "" if match is None else f"{row['distribution']}=={match['version']}"


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(_DATA.read_text(encoding="utf-8"))["requirements"]
    return table
