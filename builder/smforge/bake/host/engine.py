"""What the Docker Engine is and whether it answers."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from smforge.docker import no_client
from smforge.errors import EngineUnavailableError
from smforge.extras import from_build_extra

_ANSWER_SECONDS = 20.0

REMEDY = (
    "Start it (tools/engine start provides one where the host has none), or set DOCKER_HOST; "
    "'smforge doctor' shows what is lacking."
)


@dataclass(frozen=True, slots=True)
class Means:
    """The cores and memory that a builder compiles with."""

    cores: int
    memory_bytes: int
    native: tuple[str, ...]
    """What some node is: ``linux/amd64``. Its own platform stands first in a node's list."""


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine that answered."""

    version: str
    buildx: str
    buildkit: str
    builder: str
    driver: str
    platforms: tuple[str, ...]
    """What some node of the builder runs, natively or through an emulator."""
    means: Means
    data_root: Path
    containerd_store: bool
    """Whether images live in containerd's store, which OCI output and attestations need."""
    free_bytes: int | None
    """Free space under `data_root`; None when the engine is not on this host."""


def client_answer() -> str | None:
    """The engine's version, or None when no engine answers within seconds.

    Raises `ToolError` when there is no docker client.
    """
    try:
        done = subprocess.run(
            ("docker", "version", "--format", "{{.Server.Version}}"),
            capture_output=True,
            text=True,
            timeout=_ANSWER_SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        raise no_client() from error
    except subprocess.TimeoutExpired:
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def inspect() -> Engine:
    """Describe the engine that the docker client's settings lead to.

    Raises `EngineUnavailableError` when none answers, `ToolError` when docker, buildx or smforge's
    extra ``build`` is missing.
    """
    version = client_answer()
    if version is None:
        raise EngineUnavailableError(f"No Docker Engine answers on {address()}.", remedy=REMEDY)
    with from_build_extra("Asking the engine"):
        from python_on_whales import DockerClient  # noqa: PLC0415  # defers python_on_whales
        from python_on_whales.exceptions import DockerException  # noqa: PLC0415  # defers python_on_whales

    client = DockerClient()
    try:
        info = client.system.info()
        builder = client.buildx.inspect()
    except DockerException as error:
        last = (error.stderr or str(error)).strip().splitlines()[-1:]
        raise EngineUnavailableError(
            f"The Docker Engine on {address()} cannot be inspected: {' '.join(last)}.",
            remedy="'smforge doctor' shows what is lacking.",
        ) from error
    root = Path(info.docker_root_dir or "/")
    status = dict(info.driver_status or [])
    node = builder.nodes[0] if builder.nodes else None
    offered = [tuple(one.platforms or ()) for one in builder.nodes or ()]
    return Engine(
        version=version,
        buildx=buildx_version() or "unknown",
        buildkit=(node.version if node else None) or "unknown",
        builder=builder.name or "unknown",
        driver=builder.driver or "unknown",
        platforms=tuple(dict.fromkeys(name for one in offered for name in one)),
        means=Means(
            cores=info.n_cpu or 1,
            memory_bytes=info.mem_total or 0,
            native=tuple(dict.fromkeys(one[0] for one in offered if one)),
        ),
        data_root=root,
        containerd_store="containerd" in str(status.get("driver-type", "")),
        free_bytes=_free_bytes(root),
    )


def buildx_version() -> str | None:
    """The version of the buildx that docker runs, or None when docker has no such command."""
    try:
        done = subprocess.run(
            ("docker", "buildx", "version"),
            capture_output=True,
            text=True,
            timeout=_ANSWER_SECONDS,
            check=False,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    words = done.stdout.split()
    return words[1] if done.returncode == 0 and len(words) > 1 else None


def address() -> str:
    """Where the docker client looks for its engine, for messages."""
    if host := os.environ.get("DOCKER_HOST"):
        return host
    if context := os.environ.get("DOCKER_CONTEXT"):
        return f"the docker context {context!r}"
    return "the docker client's default address"


def _free_bytes(root: Path) -> int | None:
    if not os.environ.get("DOCKER_HOST", "unix://").startswith("unix://"):
        return None
    try:
        return shutil.disk_usage(root).free
    except OSError:
        return None
