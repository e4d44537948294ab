"""A saved preflight report, read back as what a build is expected to embed."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from builder.arch.target import Target
from builder.errors import ArchitectureError, ConfigurationError

SCHEMA_VERSION = 1
_NOT_IN_SYMBOLS = re.compile(r"[^A-Za-z0-9_]")
_REMEDY = "Write one with smforge preflight -o json=FILE."


@dataclass(frozen=True, slots=True)
class ExpectedUnit:
    """One source and the code objects it was predicted to become."""

    source: str
    targets: frozenset[Target]
    """Machine code."""
    ptx: frozenset[Target]

    @property
    def symbol_name(self) -> str:
        """The name under which a code object's symbols can carry the source."""
        return symbol_name(self.source)


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a build was predicted to embed."""

    name: str
    """The file that was read."""
    extensions: Mapping[str, tuple[ExpectedUnit, ...]]
    """Units by extension: ``_C_stable_libtorch``."""


def symbol_name(source: str) -> str:
    """A source's file name with every character that no symbol may hold replaced by ``_``."""
    return _NOT_IN_SYMBOLS.sub("_", PurePosixPath(source).name)


def read_expectation(path: Path) -> Expectation:
    """Read a report that ``smforge preflight -o json`` wrote. Raises `ConfigurationError`."""
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror or error}.", remedy=_REMEDY
        ) from error
    except ValueError as error:
        raise ConfigurationError(f"{path} is not JSON: {error}.", remedy=_REMEDY) from error
    return expectation_of(report, str(path))


def expectation_of(report: Any, name: str) -> Expectation:
    """The expectation in a preflight report; `name` is how messages call it."""
    if not isinstance(report, dict) or report.get("schema_version") != SCHEMA_VERSION:
        raise ConfigurationError(f"{name} is not a preflight report.", remedy=_REMEDY)
    extensions: dict[str, list[ExpectedUnit]] = defaultdict(list)
    try:
        for unit in report["units"]:
            extensions[unit["extension"]].append(
                ExpectedUnit(unit["source"], _targets(unit["targets"]), _targets(unit["ptx"]))
            )
    except (KeyError, TypeError, ArchitectureError) as error:
        raise ConfigurationError(
            f"{name} is not a preflight report: {error}.", remedy=_REMEDY
        ) from error
    if not extensions:
        raise ConfigurationError(
            f"{name} predicts nothing.", remedy="Run preflight for a list that these sources build."
        )
    return Expectation(name, {key: tuple(units) for key, units in extensions.items()})


def _targets(texts: list[str]) -> frozenset[Target]:
    return frozenset(Target.parse(text) for text in texts)
