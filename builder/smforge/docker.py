"""The docker command: how it is run, and what to say where it is missing."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from smforge.errors import ToolError

_SECONDS = 60.0


class NoAnswerError(ToolError):
    """A docker command did not end in time."""


def run(
    *command: str,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    seconds: float = _SECONDS,
) -> subprocess.CompletedProcess[str]:
    """Run a docker command to its end, whatever its exit code is.

    `folder` and `environment` are those of this process where they are None. Raises `ToolError`
    where docker is not installed, and `NoAnswerError` where the command takes over `seconds`.
    """
    try:
        return subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            # Ctrl-C reaches this process alone, and ends the command with it.
            process_group=0,
        )
    except FileNotFoundError as error:
        raise no_client() from error
    except subprocess.TimeoutExpired as error:
        words = " ".join(command[:3])
        raise NoAnswerError(f"'{words}' took over {seconds:.0f} s.") from error


def no_client() -> ToolError:
    """The error for a host without the docker command."""
    return ToolError(
        "The docker client is not installed, or not on PATH.",
        remedy="Install docker-cli and docker-buildx; 'smforge doctor' shows what is lacking.",
    )
