"""What is asked of a server again, how often, and after which pause.

The figures and their reasons are in retries.json. Retry-After: RFC 9110 10.2.3.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final

_DATA: Final[dict[str, Any]] = json.loads(
    Path(__file__).with_name("retries.json").read_text(encoding="utf-8")
)

BUSY: Final = tuple(int(one["status"]) for one in _DATA["answers"])
"""Answers after which the same request may succeed."""
FIRST_PAUSE_SECONDS: Final = float(_DATA["pauses"]["first_seconds"]["value"])
LONGEST_PAUSE_SECONDS: Final = float(_DATA["pauses"]["longest_seconds"]["value"])
LONGEST_ASKED_SECONDS: Final = float(_DATA["pauses"]["longest_asked_seconds"]["value"])
"""The longest pause that is made because a server asked for it."""


def attempts(what: str) -> int:
    """How often a ``request``, an ``upload``, … is tried, the first time included."""
    return int(_DATA["attempts"][what]["count"])


def asked_seconds(headers: Mapping[str, str]) -> float | None:
    """The seconds that an answer's Retry-After asks to wait, whole or as a date; None without one.

    A date is compared with the answer's own Date, so that a wrong clock of this machine does not
    count. Without that date nothing is known of the server's clock, and the header is ignored.
    """
    value = headers.get("Retry-After")
    if value is None:
        return None
    if value.isdecimal() and value.isascii():
        return float(value[:9])
    try:
        until, now = (parsedate_to_datetime(text) for text in (value, headers.get("Date") or ""))
        return max(0.0, (until - now).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


def pause_seconds(attempt: int, asked: float | None, longest: float) -> float:
    """How long to wait before the `attempt`-th repetition: what was asked for, else doubled each
    time up to `longest`.
    """
    if asked is not None:
        return min(asked, LONGEST_ASKED_SECONDS)
    return min(FIRST_PAUSE_SECONDS * 2.0 ** (attempt - 1), longest)
