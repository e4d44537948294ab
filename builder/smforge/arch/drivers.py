"""Which driver assembles which PTX ISA version (data/drivers.json)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from smforge.arch.tables import table
from smforge.errors import UsageError

_DRIVER = re.compile(r"\d{3,4}(?:\.\d{1,4}){1,2}\Z")
_PTX_ISA = re.compile(r"(\d{1,3})\.(\d{1,3})\Z")


@dataclass(frozen=True, slots=True, order=True)
class DriverVersion:
    """A version of NVIDIA's Linux driver, for example 570.195.03."""

    parts: tuple[int, ...]
    """Branch first; compared number by number, so 570.26 is older than 570.195.03."""

    @classmethod
    def parse(cls, text: str) -> DriverVersion:
        """Read ``570.195.03`` or ``570.26``. Raises `UsageError`."""
        if not _DRIVER.match(text):
            raise UsageError(
                f"{text!r} is not a driver version.",
                remedy="Write it as nvidia-smi prints it: 570.195.03.",
            )
        return cls(tuple(int(part) for part in text.split(".")))

    @property
    def branch(self) -> int:
        """The driver branch: 570."""
        return self.parts[0]

    def __str__(self) -> str:
        branch, *rest = self.parts
        return ".".join([str(branch), *(f"{part:02}" for part in rest)])


def driver_assembles(ptx_isa: str, driver: DriverVersion | str) -> bool | None:
    """Whether a driver's assembler reads PTX of this ISA version, or None if it is not known.

    A driver reads every version up to the newest it was made with, so a version without a row of
    its own is still known to be read where a newer one is, and not read where an older one is not.
    Minor-version compatibility does not change this: it covers machine code only. The table is
    about the drivers of servers and desktops, not those of Jetson boards.
    """
    asked = _isa(ptx_isa)
    version = driver if isinstance(driver, DriverVersion) else DriverVersion.parse(driver)
    if any(row.ptx_isa >= asked and row.since and version >= row.since for row in _rows()):
        return True
    if any(row.ptx_isa <= asked and row.not_before and version < row.not_before for row in _rows()):
        return False
    return None


def lowest_driver_for(ptx_isa: str) -> DriverVersion | None:
    """The oldest driver that assembles PTX of this ISA version; None where it is not known."""
    asked = _isa(ptx_isa)
    return next((row.since for row in _rows() if row.ptx_isa == asked), None)


def ptx_isa_of(cuda: str) -> str | None:
    """The newest PTX ISA version that a CUDA release reads and writes; None where not known."""
    rows = table("drivers")["rows"]
    return next((row["ptx_isa"] for row in rows if cuda in row["toolkits"]), None)


@dataclass(frozen=True, slots=True)
class _Row:
    ptx_isa: tuple[int, int]
    since: DriverVersion | None
    """Every driver from here on assembles it."""
    not_before: DriverVersion | None
    """No driver before this one does; a branch alone where that is all that is known."""


@cache
def _rows() -> tuple[_Row, ...]:
    return tuple(_row(row) for row in table("drivers")["rows"])


def _row(row: dict[str, Any]) -> _Row:
    since = None if row["driver"] is None else DriverVersion.parse(row["driver"])
    branch = DriverVersion((row["branch"],)) if "branch" in row else None
    return _Row(_isa(row["ptx_isa"]), since, since or branch)


def _isa(text: str) -> tuple[int, int]:
    match = _PTX_ISA.match(text)
    if match is None:
        raise UsageError(f"{text!r} is not a PTX ISA version.", remedy="Write it as 9.0.")
    return int(match[1]), int(match[2])
