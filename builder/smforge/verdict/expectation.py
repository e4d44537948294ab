"""A saved preflight report, read back as what a build is expected to embed."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from smforge.arch.target import Target
from smforge.errors import ArchitectureError, ConfigurationError
from smforge.files import read_small

SCHEMA_VERSION = 1
_NOT_IN_SYMBOLS = re.compile(r"[^A-Za-z0-9_]")
_MOST_BYTES = 256 << 20
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
    """What one build was predicted to embed."""

    name: str
    """The file that was read."""
    extensions: Mapping[str, tuple[ExpectedUnit, ...]]
    """Units by extension: ``_C_stable_libtorch``."""
    build: str | None = None
    """Which of a report's builds it is: ``flashinfer-sm120f``; None where a report has
    one build alone."""
    within: tuple[str, ...] | None = None
    """The start of the paths of the files that it is about; None for all files."""

    def is_about(self, path: str) -> bool:
        """Whether a file of the subject is one that the build made."""
        return self.within is None or path.startswith(self.within)


def symbol_name(source: str) -> str:
    """A source's file name; each character that a symbol cannot have is replaced by ``_``."""
    return _NOT_IN_SYMBOLS.sub("_", PurePosixPath(source).name)


def read_expectation(text: str) -> Expectation:
    """Read a report that ``smforge preflight -o json`` wrote: ``FILE``, or ``FILE#BUILD``.

    The build is needed where the report holds several. Raises `ConfigurationError`.
    """
    file, _, build = (text, "", "") if Path(text).exists() else text.partition("#")
    found = {one.build: one for one in expectations_of(_read(Path(file)), file)}
    if build in found:
        return found[build]
    if build or len(found) > 1:
        raise ConfigurationError(
            f"{file} is about {', '.join(str(name or 'one build') for name in found)}.",
            remedy=f"Name the build that made the subject: {file}#{next(iter(found))}.",
        )
    return next(iter(found.values()))


def expectations_of(report: Any, name: str) -> tuple[Expectation, ...]:
    """The expectations in a preflight report, one per build; `name` is how messages call it.

    Raises `ConfigurationError`.
    """
    if not isinstance(report, dict) or report.get("schema_version") != SCHEMA_VERSION:
        raise ConfigurationError(f"{name} is not a preflight report.", remedy=_REMEDY)
    builds: dict[str | None, dict[str, list[ExpectedUnit]]] = {}
    try:
        for unit in report["units"]:
            extensions = builds.setdefault(unit.get("build"), defaultdict(list))
            extensions[unit["extension"]].append(
                ExpectedUnit(unit["source"], _targets(unit["targets"]), _targets(unit["ptx"]))
            )
    except (KeyError, TypeError, AttributeError, ArchitectureError) as error:
        raise ConfigurationError(
            f"{name} is not a preflight report: {error}.", remedy=_REMEDY
        ) from error
    if not builds:
        raise ConfigurationError(
            f"{name} predicts nothing.", remedy="Run preflight for a list that these sources build."
        )
    return tuple(
        Expectation(name, {key: tuple(units) for key, units in extensions.items()}, build)
        for build, extensions in builds.items()
    )


def _read(path: Path) -> Any:
    try:
        return json.loads(read_small(path, _MOST_BYTES))
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror or error}.", remedy=_REMEDY
        ) from error
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path} is not JSON: {error}.", remedy=_REMEDY) from error


def _targets(texts: list[str]) -> frozenset[Target]:
    return frozenset(Target.parse(text) for text in texts)
