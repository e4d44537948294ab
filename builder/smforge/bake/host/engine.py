"""What will build: the builder of buildx, its nodes, and the Docker Engines that they run on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smforge.bake.host.builders import Builder, Node, find_builder
from smforge.bake.host.node_means import Means, least, option_limits, runs_on_an_engine
from smforge.docker import NoAnswerError, run
from smforge.errors import EngineUnavailableError, ToolError
from smforge.extras import from_build_extra

_ANSWER_SECONDS = 20.0
_LOCAL = "unix://"

REMEDY = (
    "Start it (tools/engine start provides one where the host has none), or set DOCKER_HOST; "
    "'smforge doctor' shows what is lacking."
)


@dataclass(frozen=True, slots=True)
class Disk:
    """A folder, and the space that was free there."""

    folder: Path
    free_bytes: int


@dataclass(frozen=True, slots=True)
class Machine:
    """What is known of the machine of one node; None where nobody says."""

    node: Node
    cores: int | None
    memory_bytes: int | None
    memory_hidden: bool = False
    """Whether this memory is a limit of the driver's options, which a step may not see."""
    engine: str | None = None
    """The version of the Docker Engine that the node runs on."""
    containerd_store: bool | None = None
    """Whether images live in containerd's store, which OCI output and attestations need."""
    disk: Disk | None = None
    """Where that engine keeps its data; None where the machine is not this host."""
    buildx: str | None = None
    """The version of this host's buildx, where the client told it with the engine's answer."""

    @property
    def own_platform(self) -> str | None:
        """What it is natively."""
        return next(iter(self.node.platforms), None)


@dataclass(frozen=True, slots=True)
class Engine:
    """A builder that can be used."""

    buildx: str
    builder: str
    driver: str
    machines: tuple[Machine, ...]

    @property
    def version(self) -> str | None:
        """The version of the Docker Engine of the first node; None where there is none."""
        return next((one.engine for one in self.machines), None)

    @property
    def buildkit(self) -> str:
        """The version of BuildKit of the first node."""
        return next((one.node.version for one in self.machines), "") or "unknown"

    @property
    def platforms(self) -> tuple[str, ...]:
        """What some node runs, natively or through an emulator; empty where none is started."""
        offered = (name for one in self.machines for name in one.node.platforms)
        return tuple(dict.fromkeys(offered))

    @property
    def native(self) -> tuple[str, ...]:
        """What some node is: ``linux/amd64``."""
        return tuple(dict.fromkeys(one for m in self.machines if (one := m.own_platform)))

    def machines_for(self, platform: str) -> Sequence[Machine]:
        """The nodes that are of a platform, else those that offer it, else all."""
        own = [one for one in self.machines if one.own_platform == platform]
        offering = [one for one in self.machines if platform in one.node.platforms]
        return own or offering or self.machines

    def means(self, platform: str) -> Means:
        """What compiles for `platform`: the least of the nodes that buildx may choose for it."""
        chosen = self.machines_for(platform)
        unknown_cores = any(one.cores is None for one in chosen)
        unknown_memory = any(one.memory_bytes is None for one in chosen)
        return Means(
            cores=None if unknown_cores else least(*(one.cores for one in chosen)),
            memory_bytes=None if unknown_memory else least(*(one.memory_bytes for one in chosen)),
            native=self.native,
            memory_hidden=any(one.memory_hidden for one in chosen),
        )

    @property
    def caching_driver(self) -> str:
        """The driver as `LayerCaches.for_driver` tells drivers apart."""
        stores = [one.containerd_store for one in self.machines]
        lacks = self.driver == "docker" and not all(stores)
        return f"{self.driver} without containerd's image store" if lacks else self.driver


def client_answer(*endpoint: str) -> str | None:
    """The engine's version, or None when no engine answers within seconds.

    `endpoint` are docker's flags for one: ``--host ADDRESS``. Raises `ToolError` when there is no
    docker client.
    """
    try:
        done = run(
            *("docker", *endpoint, "version", "--format", "{{.Server.Version}}"),
            seconds=_ANSWER_SECONDS,
        )
    except NoAnswerError:
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def inspect(name: str | None = None) -> Engine:
    """Describe the builder of this name, by default the one that buildx uses.

    Raises `EngineUnavailableError` when an engine that it needs, or none of its nodes answers,
    `UsageError` for an unknown builder, and `ToolError` when docker, buildx or smforge's extra
    ``build`` is missing.
    """
    # The answer takes a tenth of a second and more, and the client is loaded meanwhile.
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(find_builder, name)
        client_package()
        try:
            found = asked.result()
        except ToolError:
            if buildx_version() is None and client_answer() is None:
                raise _no_answer(address()) from None
            raise
    if found.error:
        raise _unusable(found)
    if found.driver == "remote" and not any(node.runs for node in found.nodes):
        places = ", ".join(f"{node.name} at {node.endpoint}" for node in found.nodes)
        raise EngineUnavailableError(
            f"No node of the builder {found.name!r} answers: {places}.",
            remedy="Start its buildkitd, or choose another builder with --builder.",
        )
    ask = _on_engine if runs_on_an_engine(found.driver) else _elsewhere
    machines = tuple(ask(found, one) for one in found.nodes)
    # An engine's answer has it, which spares a question.
    told = next((one.buildx for one in machines if one.buildx), None)
    return Engine(told or buildx_version() or "unknown", found.name, found.driver, machines)


def answers(engine: Engine) -> bool:
    """Whether a builder still answers."""
    if runs_on_an_engine(engine.driver):
        nodes = (one.node for one in engine.machines)
        return all(client_answer(*_flags(node)) is not None for node in nodes)
    try:
        return any(node.runs for node in find_builder(engine.builder).nodes)
    except ToolError:
        return False


def _elsewhere(builder: Builder, node: Node) -> Machine:
    """A node whose machine nobody can be asked about: only the driver's options say something."""
    cores, memory = option_limits(builder.driver, node.options)
    return Machine(node, cores, memory, memory_hidden=memory is not None)


def _on_engine(builder: Builder, node: Node) -> Machine:
    # A node that runs has just answered buildx.
    if not node.runs and client_answer(*_flags(node)) is None:
        raise _no_answer(_place(node))
    info = _information(node)
    status = dict(info.driver_status or [])
    cores, memory = option_limits(builder.driver, node.options)
    return Machine(
        node=node,
        cores=least(cores, info.n_cpu),
        memory_bytes=least(memory, info.mem_total),
        memory_hidden=memory is not None,
        engine=info.server_version,
        containerd_store="containerd" in str(status.get("driver-type", "")),
        disk=_disk(node, Path(info.docker_root_dir or "/")),
        buildx=_buildx_in(info),
    )


def _information(node: Node) -> Any:
    """What the engine of a node says of itself."""
    package = client_package()
    flag, value = _flags(node)
    place = {"host": value} if flag == "--host" else {"context": value}
    try:
        return package.DockerClient(**place).system.info()
    except package.DockerException as error:
        last = (error.stderr or str(error)).strip().splitlines()[-1:]
        raise EngineUnavailableError(
            f"The Docker Engine on {_place(node)} cannot be inspected: {' '.join(last)}.",
            remedy="'smforge doctor' shows what is lacking.",
        ) from error


def _buildx_in(info: Any) -> str | None:
    """The version of the buildx that the client of an answer has as a plugin."""
    plugins = (info.client_info and info.client_info.plugins) or ()
    return next((one.version for one in plugins if one.name == "buildx"), None)


def client_package() -> Any:
    """The package of the docker client. Raises `ToolError` where smforge's extra is missing."""
    with from_build_extra("Asking the engine"):
        import python_on_whales  # noqa: PLC0415  # defers python_on_whales

    return python_on_whales


def _unusable(builder: Builder) -> EngineUnavailableError:
    if builder.name == "default":
        return _no_answer(address())
    return EngineUnavailableError(
        f"buildx cannot use the builder {builder.name!r}: {builder.error}.",
        remedy="Correct what it says, or choose another builder with --builder.",
    )


def _no_answer(place: str) -> EngineUnavailableError:
    return EngineUnavailableError(f"No Docker Engine answers on {place}.", remedy=REMEDY)


def _flags(node: Node) -> tuple[str, str]:
    """Docker's flag for the engine of a node."""
    return ("--host" if "://" in node.endpoint else "--context", node.endpoint)


def _place(node: Node) -> str:
    """Where the engine of a node is, for messages."""
    if "://" in node.endpoint:
        return node.endpoint
    return address() if node.endpoint == "default" else f"the docker context {node.endpoint!r}"


def buildx_version() -> str | None:
    """The version of the buildx that docker runs, or None when docker has no such command."""
    try:
        done = run("docker", "buildx", "version", seconds=_ANSWER_SECONDS)
    except ToolError:
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


def _disk(node: Node, root: Path) -> Disk | None:
    host = os.environ.get("DOCKER_HOST", _LOCAL) if node.endpoint == "default" else node.endpoint
    if not host.startswith(_LOCAL):
        return None
    try:
        return Disk(root, shutil.disk_usage(root).free)
    except OSError:
        return None
