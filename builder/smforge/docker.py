"""The docker command: what to say where it is missing."""

from __future__ import annotations

from smforge.errors import ToolError


def no_client() -> ToolError:
    """The error for a host without the docker command."""
    return ToolError(
        "The docker client is not installed, or not on PATH.",
        remedy="Install docker-cli and docker-buildx; 'smforge doctor' shows what is lacking.",
    )
