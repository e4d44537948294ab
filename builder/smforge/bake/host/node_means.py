"""What the nodes of a builder compile with: from the engine that they run on, and the driver's
options. Nothing of this host counts for a node that is elsewhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_DATA = Path(__file__).parent / "data" / "drivers.json"
_UNITS = ("", "k", "m", "g", "t")
_SIZE = re.compile(r"^(\d+(?:\.\d+)?)([kmgt]?)(i?)b?$", re.IGNORECASE)
_CORES = re.compile(r"^(\d+(?:\.\d+)?)(m?)$")
_CUSTOMARY_PERIOD = "100000"


@dataclass(frozen=True, slots=True)
class Means:
    """The cores and memory that a node compiles with; None where nobody says."""

    cores: int | None
    memory_bytes: int | None
    native: tuple[str, ...]
    """What some node of the builder is: ``linux/amd64``. Its own platform stands first in a node's
    list."""
    memory_hidden: bool = False
    """Whether this memory is a limit of the node that its steps may not see, as that of a pod."""

    @property
    def known(self) -> bool:
        """Whether a number of jobs can be taken from it."""
        return self.cores is not None and self.memory_bytes is not None


def runs_on_an_engine(driver: str) -> bool:
    """Whether nodes of this driver run on a Docker Engine, which can be asked."""
    return bool(_driver(driver).get("engine"))


def has_network_of_its_engine(driver: str) -> bool:
    """Whether steps have the network that the engine's own settings give them."""
    return bool(_driver(driver).get("network"))


def option_limits(driver: str, options: Mapping[str, str]) -> tuple[int | None, int | None]:
    """The cores and bytes of memory that a driver's options say; None where they say none."""
    data = _driver(driver)
    cores = (_cores(name, options) for name in data.get("cores", ()))
    decimal = bool(data.get("decimal"))
    memory = (_bytes(options.get(name, ""), decimal=decimal) for name in data.get("memory", ()))
    return next(_said(cores), None), next(_said(memory), None)


def least(*values: int | None) -> int | None:
    """The least of what is known."""
    return min((one for one in values if one is not None), default=None)


def _said(values: Iterator[int | None]) -> Iterator[int]:
    return (one for one in values if one)


def _cores(name: str, options: Mapping[str, str]) -> int | None:
    share, slash, whole = name.partition("/")
    value = options.get(share, "")
    if slash:
        period = options.get(whole, _CUSTOMARY_PERIOD)
        if not (value.isdigit() and period.isdigit() and int(period)):
            return None
        return max(1, int(value) // int(period)) if int(value) else None
    found = _CORES.match(value)
    if found is None:
        return None
    return max(1, int(float(found[1]) / (1000 if found[2] else 1)))


def _bytes(text: str, *, decimal: bool) -> int | None:
    """``4g`` of docker and ``32Gi`` of Kubernetes are powers of 1024, and there ``32G`` of 1000."""
    found = _SIZE.match(text)
    if found is None:
        return None
    step = 1000 if decimal and not found[3] else 1024
    return int(float(found[1]) * step ** _UNITS.index(found[2].lower()))


def _driver(name: str) -> dict[str, Any]:
    found: dict[str, Any] = _data()["drivers"].get(name, {})
    return found


@cache
def _data() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(_DATA.read_text(encoding="utf-8"))
    return data
