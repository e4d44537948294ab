"""Reads the tables in data/; what each row means is said where it is used.

The tables are part of the package and proven by tests/arch/test_tables.py, so they are read
without a second validation at run time.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

_DATA = Path(__file__).parent / "data"


@cache
def table(name: str) -> dict[str, Any]:
    """The table `name`, for example ``toolkits``. Callers do not change what they get."""
    content: dict[str, Any] = json.loads((_DATA / f"{name}.json").read_text(encoding="utf-8"))
    return content
