"""Which of a project's extensions or modules a build compiles.

vLLM's are named in versions.json; FlashInfer's by a selection of docker/flashinfer/selections.json,
whose patterns are read here as docker/flashinfer/selection.py reads them (a test compares both).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from smforge.errors import ConfigurationError
from smforge.findings import Finding, Level
from smforge.preflight.records import Configuration

SELECTIONS = Path("docker", "flashinfer", "selections.json")
"""Below the directory of the matrix."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Patterns over the names of extensions or modules; each has to match something."""

    name: str
    """What messages call it: ``core``."""
    patterns: tuple[str, ...]

    def narrowed(self, configuration: Configuration) -> Configuration:
        """The configuration with only the units that are selected."""
        units = (unit for unit in configuration.units if self._has(unit.extension))
        return replace(configuration, units=tuple(units))

    def unmatched(self, configuration: Configuration) -> Iterator[Finding]:
        """The patterns that match nothing: the build would stop there, or make less than asked."""
        if configuration.refusal is not None:
            return
        names = {unit.extension for unit in configuration.units}
        for pattern in self.patterns:
            if not any(fnmatchcase(name, pattern) for name in names):
                yield Finding(
                    rule="selection-unmatched",
                    level=Level.ERROR,
                    message=(
                        f"{self.name} selects {pattern}, and these sources compile no CUDA source "
                        f"under that name for {configuration.archs}."
                    ),
                    remedy="Leave it out of the selection, or ask for other architectures.",
                )

    def _has(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self.patterns)


def named_extensions(text: str) -> Selection:
    """The extensions that a variant names, between blanks."""
    return Selection("versions.json", tuple(text.split()))


def flashinfer_selection(name: str, root: Path) -> Selection:
    """A selection by name. Raises `ConfigurationError` where there is none."""
    file = root / SELECTIONS
    try:
        table = json.loads(file.read_text(encoding="utf-8"))
        return Selection(f"The selection {name!r}", tuple(_patterns(name, table)))
    except OSError as error:
        raise ConfigurationError(
            f"{file} cannot be read: {error.strerror or error}.",
            remedy="Use a versions.json that lies beside the docker directory.",
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigurationError(
            f"{file} has no readable selection {name!r}.", remedy="Mend it, or choose another."
        ) from error


def _patterns(name: str, table: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for word in table[name]:
        if word.startswith("@"):
            yield from _patterns(word[1:], table)
        else:
            yield word
