"""What CI systems need to know that versions.json does not: data/pipelines.json."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from smforge.plan.choices import Choices
from smforge.plan.jobs import PROGRAM, Job

_DATA = Path(__file__).parents[1] / "data" / "pipelines.json"


def machine(job: Job) -> dict[str, Any]:
    """What is known of the machine that a job needs."""
    found: dict[str, Any] = services()["runners"][job.runner.value]
    return found


def labels(job: Job, choices: Choices, service: str) -> Sequence[str] | str:
    """What a service knows the machine of a job by: one label or several."""
    chosen = choices.labels(job.runner, job.platform)
    if chosen is not None:
        return list(chosen) if len(chosen) > 1 else chosen[0]
    found: Sequence[str] | str = machine(job)[service][job.platform]
    return found


def taking(choices: Choices, cells: Sequence[Job]) -> str:
    """The command that takes what these cells' jobs handed to the store, verified, into ``out``."""
    # A pipeline of the whole matrix takes everything that the matrix needs.
    only = "".join(f" --only {job.key}" for job in cells) if choices.selection else ""
    store = shlex.quote(choices.store or "")
    return f"{PROGRAM} merge{choices.config_flag} {store}{only} -o out"


def header(name: str, choices: Choices) -> str:
    """The comment above a pipeline: the command that makes it anew."""
    words = ("smforge matrix", *choices.selection, f"--format {name}", *choices.flags)
    command = " ".join(words)
    source = choices.config or "versions.json"
    return f"# Made by `{command}` from {source}; change that, not this.\n"


@cache
def services() -> dict[str, Any]:
    """The table."""
    table: dict[str, Any] = json.loads(_DATA.read_text(encoding="utf-8"))
    return table
