"""Which CUDA major version a distribution is built for, as far as its name tells.

The libraries themselves are looked into when the wheelhouse is built
(docker/connectors/cuda_majors.py); this refuses what can be known before anything is fetched.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

_DATA = Path(__file__).parent / "data" / "cuda_distributions.json"
_MARKED = re.compile(r"-cu(?:da)?(1\d)\d?x?$")


def majors_of(distribution: str) -> tuple[str, ...]:
    """The majors: ``("12",)`` for nixl-cu12, several for one that brings several, none if unknown.

    `distribution` is a normalised name, as versions.json has them.
    """
    for row in _table()["rows"]:
        if row["distribution"] == distribution:
            return tuple(row["majors"])
    marked = _MARKED.search(distribution)
    return (marked[1],) if marked else ()


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(_DATA.read_text(encoding="utf-8"))
    return table
