"""The engine that ``tools/engine`` provides, found without settings.

A host that names an engine (DOCKER_HOST, a docker context), or has one on the default socket, keeps
that one, and nothing is looked for.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

CUSTOMARY_SOCKET = Path("/var/run/docker.sock")
_SYSTEM_STATE = Path("/var/lib/smforge")


def state_directory(environment: Mapping[str, str], user: int) -> Path:
    """Where ``tools/engine`` keeps its engine for this user id."""
    if stated := environment.get("SMFORGE_STATE"):
        return Path(stated)
    if user == 0:
        return _SYSTEM_STATE
    home = environment.get("HOME") or str(Path.home())
    return Path(environment.get("XDG_STATE_HOME") or f"{home}/.local/state") / "smforge"


def settings(
    environment: Mapping[str, str], *, customary: Path = CUSTOMARY_SOCKET, user: int | None = None
) -> dict[str, str]:
    """The variables that lead docker and mmdebstrap to what ``tools/engine`` provides.

    They are those that ``tools/engine env`` prints; empty where it has provided nothing.
    """
    state = state_directory(environment, os.geteuid() if user is None else user)
    binaries = state / "root" / "usr" / "bin"
    found: dict[str, str] = {}
    if binaries.is_dir():
        found["PATH"] = _path(environment.get("PATH", os.defpath), binaries)
    if (binaries / "docker").exists():
        found["DOCKER_CONFIG"] = str(state / "client")
    socket = state / "run" / "docker.sock"
    stated = any(environment.get(name) for name in ("DOCKER_HOST", "DOCKER_CONTEXT"))
    if not stated and socket.is_socket() and not customary.is_socket():
        found |= {"DOCKER_HOST": f"unix://{socket}", "BUILD_NETWORK": "host"}
    return found


def use_own_engine() -> dict[str, str]:
    """Lead the docker commands of this process to what ``tools/engine`` provides.

    The result are the variables that were set.
    """
    found = settings(os.environ)
    os.environ.update(found)
    return found


def _path(path: str, binaries: Path) -> str:
    """`path` with the unpacked tools: docker first, since the host's may lack buildx or be old."""
    words = [word for word in path.split(os.pathsep) if word != str(binaries)]
    first = (binaries / "docker").exists()
    return os.pathsep.join([str(binaries), *words] if first else [*words, str(binaries)])
