"""Reads ``bake --print``: the resolved targets and where their output goes. Needs no engine."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smforge.bake.command import BakeCall
from smforge.docker import run
from smforge.errors import ConfigurationError, ToolError

_TARGET = "target:"


@dataclass(frozen=True, slots=True)
class Definition:
    """The resolved bake definition of one call."""

    document: dict[str, Any]

    @property
    def targets(self) -> tuple[str, ...]:
        """Every target that takes part, those that others take as a context included."""
        return tuple(self.document.get("target", {}))

    @property
    def needs(self) -> dict[str, tuple[str, ...]]:
        """Per target the targets that it takes as a context (``target:NAME``)."""
        found: dict[str, tuple[str, ...]] = {}
        for name, target in self.document.get("target", {}).items():
            contexts = (target.get("contexts") or {}).values()
            found[name] = tuple(
                dict.fromkeys(
                    one.removeprefix(_TARGET)
                    for one in contexts
                    if isinstance(one, str) and one.startswith(_TARGET)
                )
            )
        return found

    def destinations(self, root: Path) -> dict[str, tuple[Path, ...]]:
        """Per target the directories or files it exports to, as absolute paths."""
        found: dict[str, tuple[Path, ...]] = {}
        for name, target in self.document.get("target", {}).items():
            outputs = [one for one in target.get("output") or [] if isinstance(one, dict)]
            found[name] = tuple(root / _plain(one["dest"]) for one in outputs if one.get("dest"))
        return found


def resolve_definition(call: BakeCall) -> Definition:
    """Let buildx resolve the call's files. The override must have been written.

    Raises `ToolError` without docker or buildx or where bake does not end, `ConfigurationError`
    when bake refuses the files.
    """
    done = run(*call.print_argv, folder=call.root, environment=call.environment(os.environ))
    if done.returncode != 0:
        raise _refusal(done.stderr, call)
    try:
        document = json.loads(done.stdout)
    except ValueError as error:
        raise ToolError("'docker buildx bake --print' printed no JSON.") from error
    return Definition(document)


def _plain(text: str) -> str:
    """The text that bake printed as a template, because its output is a bake file again."""
    return text.replace("$${", "${").replace("%%{", "%{")


def _refusal(stderr: str, call: BakeCall) -> ConfigurationError | ToolError:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    if any("unknown command" in line or "is not a docker command" in line for line in lines):
        return ToolError(
            "docker has no buildx command.",
            remedy="Install docker-buildx (tools/engine install brings one).",
        )
    said = next((line for line in reversed(lines) if line.startswith("ERROR:")), None)
    reason = (said or " ".join(lines[-1:]) or "no reason given").removeprefix("ERROR: ")
    return ConfigurationError(
        f"bake refuses the definition in {call.root}: {reason.rstrip('.')}.",
        remedy="Correct docker-bake.hcl or versions.json.",
    )
