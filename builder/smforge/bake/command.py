"""The exact command line of one bake call and the variables it is given. This module runs nothing.

Bake reads three files: docker-bake.hcl (what there is to build), versions.json (the defaults) and
an override with the resolved values of one cell, so that the printed command is the command that
runs.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smforge.matrix.place import BAKE_FILE


@dataclass(frozen=True, slots=True)
class BakeCall:
    """One cell's bake: every target of it, every variable resolved."""

    root: Path
    """The directory of docker-bake.hcl; bake's relative paths start there."""
    matrix: Path
    """versions.json, which is a bake file too."""
    override: Path
    """The path of the file with the resolved variables."""
    metadata: Path
    """Where buildx writes the digests of what it built; it does so only on success."""
    targets: tuple[str, ...]
    variables: Mapping[str, str]
    reads: tuple[Path, ...] = ()
    """Paths outside `root` that the build may read, such as a CA bundle."""
    writes: tuple[Path, ...] = ()
    """Directories that the build may write to."""
    caches: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By target the caches of layers that it reads and writes, as bake files have them."""
    host_network: bool = False
    """Whether steps may use the host's network."""
    builder: str | None = None
    """The builder that was asked for; None for the one that buildx uses."""

    @property
    def override_text(self) -> str:
        """The override as a bake file: the later definition of a variable wins."""
        block = {
            name: {"default": _literal(value)} for name, value in sorted(self.variables.items())
        }
        whole: dict[str, Any] = {"variable": block}
        if self.caches:
            whole["target"] = self.caches
        return json.dumps(whole, indent=2) + "\n"

    @property
    def argv(self) -> tuple[str, ...]:
        """The command that builds."""
        return (
            *self._files,
            *((f"--builder={self.builder}",) if self.builder else ()),
            "--progress=rawjson",
            f"--metadata-file={self.metadata}",
            *self._allowances,
            *self.targets,
        )

    @property
    def print_argv(self) -> tuple[str, ...]:
        """The command that only resolves the definition; it needs no engine."""
        return (*self._files, *self._allowances, "--print", *self.targets)

    @property
    def text(self) -> str:
        """The building command as one would type it in `root`."""
        return shlex.join(self.argv)

    def environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """`inherited` without the call's own variables, which bake would prefer to the files."""
        return {name: value for name, value in inherited.items() if name not in self.variables}

    @property
    def _files(self) -> tuple[str, ...]:
        files = (BAKE_FILE, _relative(self.matrix, self.root), str(self.override))
        return ("docker", "buildx", "bake", *(part for file in files for part in ("-f", file)))

    @property
    def _allowances(self) -> tuple[str, ...]:
        return (
            *(f"--allow=fs.read={path}" for path in self.reads),
            *(f"--allow=fs.write={path}" for path in self.writes),
            *(("--allow=network.host",) if self.host_network else ()),
        )


def _literal(value: str) -> str:
    """`value` as bake's JSON files have it: strings there are HCL templates."""
    return value.replace("${", "$${").replace("%{", "%%{")


def _relative(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
