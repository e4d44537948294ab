"""What one check of a host found, and the amounts and versions that it is compared with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

_DATA = Path(__file__).parent / "data" / "host_needs.json"
GIB = 1 << 30


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    LACKING = "lacking"
    """A build cannot run."""
    OPTIONAL = "absent"
    """A build can run; something else cannot, and the remedy says what."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check."""

    id: str
    state: State
    found: str
    remedy: str | None = None


def versioned(name: str, found: str, remedy: str, text: str | None = None) -> Finding:
    """Compare with the version that is needed; what cannot be compared is taken as it is."""
    need = needs()[name]
    try:
        enough = Version(found.partition("+")[0].removeprefix("v")) >= Version(need["at_least"])
    except InvalidVersion:
        enough = True
    state = State.OK if enough else State.LACKING
    return Finding(name, state, text or found, None if enough else remedy.format(need["at_least"]))


def space(name: str, need_name: str, free: int, place: Path) -> Finding:
    """Compare free bytes with the GiB that are needed."""
    need = needs()[need_name]
    text = f"{free / GIB:.1f} GiB free in {place}"
    if free >= need["at_least"] * GIB:
        return Finding(name, State.OK, text)
    return Finding(
        name, State.LACKING, text, f"Free space until it is {need['at_least']} GiB: {need['why']}."
    )


@cache
def needs() -> dict[str, Any]:
    """What a host needs and why (data/host_needs.json)."""
    data: dict[str, Any] = json.loads(_DATA.read_text(encoding="utf-8"))
    return data
