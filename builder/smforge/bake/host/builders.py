"""Builders of buildx: the configuration of one for this workload, and what buildx says of one.

Format of buildkitd.toml: docs/buildkitd.toml.md of moby/buildkit. buildx checks the file when it
creates the builder, and copies the certificates that it names into the builder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from smforge.docker import run
from smforge.errors import ToolError, UsageError

_DATA = Path(__file__).parent / "data" / "buildkitd.json"
_GIB = 1 << 30
_COMPILATION_CACHE = "exec.cachemount"
_DAY = 24 * 3600
_NANOSECONDS = 10**9


@dataclass(frozen=True, slots=True)
class BuilderSettings:
    """What differs from site to site."""

    mirrors: Mapping[str, tuple[str, ...]]
    """By registry (``docker.io``), the mirrors to ask first."""
    plain_http: tuple[str, ...] = ()
    """Registries and mirrors that speak HTTP without TLS."""
    ca_bundle: Path | None = None
    """Certificates for mirrors and registries that are named; None for those of the system."""
    steps: int | None = None
    """Steps at once; None for the default of this workload."""
    cache_gb: int = 60
    """The most that everything the builder keeps may take, in GB; layers alone two thirds."""
    host_network: bool = False
    """Whether builds may use the network of the builder's host."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a collection policy. Sizes are bytes, 0 where nothing is said."""

    everything: bool
    filters: tuple[str, ...]
    keep_seconds: float
    reserved: int
    most: int
    free: int

    @property
    def text(self) -> str:
        """The rule for people."""
        what = ", ".join(self.filters) or ("everything" if self.everything else "layers")
        parts = [f"at most {self.most / _GIB:.1f} GiB"] if self.most else []
        parts += [f"{self.reserved / _GIB:.1f} GiB always kept"] if self.reserved else []
        parts += [f"{self.free / _GIB:.1f} GiB left free"] if self.free else []
        parts += [f"after {self.keep_seconds / 3600:.0f} h"] if self.keep_seconds else []
        return f"{what}: {', '.join(parts) or 'no limit'}"

    @property
    def ends_compilations(self) -> bool:
        """Whether it soon ends caches of compilations, which the next release would use."""
        meant = any(one.endswith(f"type=={_COMPILATION_CACHE}") for one in self.filters)
        return meant and 0 < self.keep_seconds < 30 * _DAY


@dataclass(frozen=True, slots=True)
class Node:
    """One machine of a builder."""

    name: str
    endpoint: str
    """A docker context, or an address: ``unix:///run/buildkit.sock``, ``tcp://host:1234``."""
    status: str
    version: str
    """Of its BuildKit; empty where it is not known."""
    platforms: tuple[str, ...]
    """What it builds, its own first; empty where it is not started."""
    policy: tuple[Rule, ...]
    options: Mapping[str, str]
    """The driver's options: ``memory``, ``limits.cpu``."""

    @property
    def runs(self) -> bool:
        """Whether it has answered."""
        return self.status == "running"

    @property
    def text(self) -> str:
        """The node for people."""
        names = dict.fromkeys("/".join(one.split("/")[:2]) for one in self.platforms)
        platforms = f" for {', '.join(names)}" if names else ""
        return f"{self.name} ({self.status or 'state unknown'}{platforms})"


def configuration(settings: BuilderSettings) -> str:
    """The text of buildkitd.toml. Raises `UsageError` where there is too little for a cache."""
    if settings.cache_gb < 20:
        raise UsageError(
            f"{settings.cache_gb} GB are too few: the layers of one build take 15 GB.",
            remedy="Allow at least 20.",
        )
    import tomli_w  # noqa: PLC0415  # defers tomli_w

    data = _data()
    document: dict[str, Any] = {}
    if settings.host_network:
        document["insecure-entitlements"] = ["network.host"]
    document["worker"] = {
        "oci": {
            "gc": True,
            "max-parallelism": settings.steps or data["max-parallelism"],
            "gcpolicy": [_rule(row, settings.cache_gb) for row in data["gcpolicy"]],
        }
    }
    if registries := dict(_registries(settings)):
        document["registry"] = registries
    head = "# Made by 'smforge builder init'.\n"
    return head + tomli_w.dumps(document)


def _rule(row: Mapping[str, Any], cache_gb: int) -> dict[str, Any]:
    sizes = {"layers": cache_gb * 2 // 3, "everything": cache_gb}
    return {
        key: value.format(**sizes) if isinstance(value, str) else value
        for key, value in row.items()
        if key != "why"
    }


def _registries(settings: BuilderSettings) -> Iterator[tuple[str, dict[str, Any]]]:
    hosts = {mirror.partition("/")[0] for one in settings.mirrors.values() for mirror in one}
    for name in sorted({*settings.mirrors, *settings.plain_http, *hosts}):
        entry: dict[str, Any] = {}
        if name in settings.mirrors:
            entry["mirrors"] = list(settings.mirrors[name])
        if name in settings.plain_http:
            entry["http"] = True
        elif settings.ca_bundle is not None:
            entry["ca"] = [str(settings.ca_bundle)]
        if entry:
            yield name, entry


def create_command(
    name: str, file: Path, driver: str, options: Sequence[str], platforms: Sequence[str]
) -> tuple[str, ...]:
    """The command that creates a builder."""
    return (
        *("docker", "buildx", "create", "--name", name, "--driver", driver),
        *("--buildkitd-config", str(file)),
        *(word for option in options for word in ("--driver-opt", option)),
        *(("--platform", ",".join(platforms)) if platforms else ()),
    )


def create(command: Sequence[str]) -> None:
    """Create a builder. Raises `ToolError`, in buildx's words, where that cannot be done."""
    done = run(*command)
    if done.returncode != 0:
        raise ToolError(
            f"buildx does not create the builder: {_last_line(done.stderr)}.",
            remedy="'docker buildx ls' lists builders, 'docker buildx rm NAME' removes one.",
        )


@dataclass(frozen=True, slots=True)
class Builder:
    """A builder as buildx lists it."""

    name: str
    driver: str
    nodes: tuple[Node, ...]
    error: str
    """Why buildx cannot use it; empty where it can."""


def find_builder(name: str | None = None) -> Builder:
    """The builder of this name, by default the one that buildx uses.

    Raises `UsageError` where buildx has none of this name, `ToolError` where it lists none.
    """
    name = name or os.environ.get("BUILDX_BUILDER") or None
    done = run("docker", "buildx", "ls", "--format", "json")
    if done.returncode != 0:
        raise ToolError(
            f"buildx does not list its builders: {_last_line(done.stderr)}.",
            remedy="'smforge doctor' shows what is lacking.",
        )
    listed = []
    for line in done.stdout.splitlines():
        try:
            listed.append(json.loads(line))
        except ValueError:
            continue
    wanted = (one for one in listed if (one["Name"] == name if name else one.get("Current")))
    found = next(wanted, None)
    if found is None:
        names = ", ".join(one["Name"] for one in listed)
        raise UsageError(
            f"buildx has no builder {name!r}." if name else "buildx has chosen no builder.",
            remedy=f"Name one of {names}, or create one: 'smforge builder init'.",
        )
    nodes = tuple(_node(one) for one in found.get("Nodes") or ())
    error = str(found.get("Err") or "").rstrip(".")
    return Builder(found["Name"], found.get("Driver") or "unknown", nodes, error)


def cache_sizes(name: str) -> tuple[str, str] | None:
    """What a builder's cache takes on all nodes, and what of it nothing uses now, as buildx says.

    None where buildx does not say.
    """
    done = run("docker", "buildx", "du", "--builder", name)
    pairs = (line.partition(":") for line in done.stdout.splitlines())
    found = {name: value.strip() for name, colon, value in pairs if colon}
    if done.returncode != 0 or "Total" not in found:
        return None
    return found["Total"], found.get("Reclaimable", "0B")


def _node(node: Mapping[str, Any]) -> Node:
    return Node(
        name=str(node["Name"]),
        endpoint=str(node["Endpoint"]),
        status=str(node.get("Status") or ""),
        version=str(node.get("Version") or ""),
        platforms=tuple(node.get("Platforms") or ()),
        policy=tuple(_read_rule(one) for one in node.get("GCPolicy") or ()),
        options=dict(node.get("DriverOpts") or {}),
    )


def _read_rule(rule: Mapping[str, Any]) -> Rule:
    return Rule(
        everything=bool(rule.get("all")),
        filters=tuple(one for one in rule.get("filter") or () if one),
        keep_seconds=float(rule.get("keepDuration") or 0) / _NANOSECONDS,
        reserved=int(rule.get("reservedSpace") or 0),
        most=int(rule.get("maxUsedSpace") or 0),
        free=int(rule.get("minFreeSpace") or 0),
    )


def _last_line(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return (lines[-1:] or ["no reason given"])[0].removeprefix("ERROR: ").rstrip(".")


@cache
def _data() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(_DATA.read_text(encoding="utf-8"))
    return data
