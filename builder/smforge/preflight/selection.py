"""Which of a project's extensions or modules a build compiles.

vLLM's are named in versions.json; FlashInfer's by a selection of docker/flashinfer/selections.json,
whose patterns are read here as docker/flashinfer/selection.py reads them (a test compares both).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    """Its name in messages: ``core``."""
    patterns: tuple[str, ...]
    made_by: Mapping[str, str] = field(default_factory=dict)
    """From an extension to the external project whose own description makes it."""

    def narrowed(self, configuration: Configuration) -> Configuration:
        """The configuration with only what is selected."""
        # An extension has many units, and each name is matched once.
        names = {unit.extension for unit in configuration.units}
        selected = {name for name in names if self._has(name)}
        return replace(
            configuration,
            units=tuple(unit for unit in configuration.units if unit.extension in selected),
            host_only=tuple(name for name in configuration.host_only if self._has(name)),
        )

    def unmatched(self, configuration: Configuration) -> Iterator[Finding]:
        """The patterns that match nothing: the build would stop there, or make less than asked."""
        if configuration.refusal is not None:
            return
        names = {unit.extension for unit in configuration.units} | set(configuration.host_only)
        absent = {external.name for external in configuration.not_examined}
        for pattern in self.patterns:
            if any(fnmatchcase(name, pattern) for name in names):
                continue
            if (project := self.made_by.get(pattern)) in absent:
                yield _not_examined(self.name, pattern, str(project))
            else:
                yield Finding(
                    rule="selection-unmatched",
                    level=Level.ERROR,
                    message=(
                        f"{self.name} selects {pattern}, and these sources make nothing under "
                        f"that name for {configuration.archs}."
                    ),
                    remedy="Leave it out of the selection, or ask for other architectures.",
                )

    def _has(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self.patterns)


def _not_examined(selection: str, extension: str, project: str) -> Finding:
    return Finding(
        rule="selection-not-examined",
        level=Level.ERROR,
        message=(
            f"{selection} selects {extension}, which the sources of {project} make, and these were "
            "not there: its content is not known."
        ),
        remedy=f"Fetch them (--fetch), or give a checkout: --external {project}=DIR.",
    )


def named_extensions(text: str, made_by: Mapping[str, str]) -> Selection:
    """The extensions that a variant names, between blanks, and which project makes each."""
    return Selection("versions.json", tuple(text.split()), made_by)


def flashinfer_selection(name: str, root: Path) -> Selection:
    """A selection by name. Raises `ConfigurationError` where there is none."""
    file = root / SELECTIONS
    try:
        table = json.loads(file.read_text(encoding="utf-8"))
        return Selection(f"The selection {name!r}", tuple(_patterns(name, table)))
    except OSError as error:
        raise ConfigurationError(
            f"{file} cannot be read: {error.strerror or error}.",
            remedy="Use a versions.json that is next to the docker directory.",
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigurationError(
            f"{file} has no readable selection {name!r}.", remedy="Correct it, or choose another."
        ) from error


def _patterns(name: str, table: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for word in table[name]:
        if word.startswith("@"):
            yield from _patterns(word[1:], table)
        else:
            yield word
