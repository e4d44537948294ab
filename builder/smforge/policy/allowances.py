"""Losses that are known and accepted, each with its reason.

Those that come with smforge (data/policies) have the form of the audit's policies; they are read
without pydantic, and a test holds them against its models.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from smforge.arch.target import ComputeCapability

FOLDER = Path(__file__).parent / "data" / "preflight"


@dataclass(frozen=True, slots=True)
class Allowance:
    """Sources whose loss is known and accepted."""

    pattern: str
    """A glob over the source's path, or over ``EXTENSION/SOURCE``."""
    reason: str
    devices: tuple[ComputeCapability, ...] = ()
    """The devices it holds for; empty for all."""
    expires: date | None = None
    """The last day it holds (UTC)."""

    def covers(self, extension: str, source: str, device: ComputeCapability) -> bool:
        """Whether it means a source on a device, today."""
        if self.devices and device not in self.devices:
            return False
        if self.expires is not None and datetime.now(UTC).date() > self.expires:
            return False
        return any(fnmatchcase(one, self.pattern) for one in (source, f"{extension}/{source}"))


def reason_for(
    allowances: Iterable[Allowance], extension: str, source: str, device: ComputeCapability
) -> str | None:
    """Why the loss of a source on a device does not count; None where it does."""
    matching = (one.reason for one in allowances if one.covers(extension, source, device))
    return next(matching, None)


@cache
def shipped(project: str) -> tuple[Allowance, ...]:
    """The allowances that come with smforge for a project."""
    file = FOLDER / f"{project}.toml"
    if not file.exists():
        return ()
    policy = tomllib.loads(file.read_text(encoding="utf-8"))
    return tuple(
        Allowance(
            row["source"],
            row["reason"],
            tuple(ComputeCapability.parse(one) for one in row.get("devices", ())),
            row.get("expires"),
        )
        for row in policy["allow"]
    )
