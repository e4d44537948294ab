"""Reads policies: the files that users name, and those that come with smforge.

A user's file is checked by the models of `smforge.policy.shape`, which need pydantic. The files
that come with smforge are not checked when they are read, since importing pydantic takes more time
than auditing a library; a test holds them against the same models.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from smforge.arch.requirement import Requirements, parse_requirements
from smforge.arch.target import ComputeCapability, Suffix, Target
from smforge.errors import ConfigurationError
from smforge.files import read_small
from smforge.policy.excuses import STATES, Excuse

_MOST_BYTES = 16 << 20
FOLDER = Path(__file__).parent / "data"
"""The policies that come with smforge, one file per project."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What a policy file says."""

    name: str
    """What reports call it."""
    requirements: Requirements = field(default_factory=Requirements)
    native: bool = False
    """Whether PTX-only code fails the audit."""
    excuses: tuple[Excuse, ...] = ()

    @property
    def kernels(self) -> tuple[Excuse, ...]:
        """The excuses that an audit applies."""
        return tuple(one for one in self.excuses if one.for_kernels)

    @property
    def sources(self) -> tuple[Excuse, ...]:
        """The excuses that a preflight applies."""
        return tuple(one for one in self.excuses if one.for_sources)


def load_policy(path: Path) -> Policy:
    """Read a policy file, TOML or (where its name ends in .json) JSON.

    Raises `ConfigurationError` with the place in the file.
    """
    from smforge.policy.shape import checked  # noqa: PLC0415 - pydantic loads slowly

    form = "JSON" if path.suffix == ".json" else "TOML"
    try:
        text = read_small(path, _MOST_BYTES).decode("utf-8")
        content = json.loads(text) if form == "JSON" else tomllib.loads(text)
    except OSError as error:
        raise ConfigurationError(
            f"The policy {path} cannot be read: {error.strerror or error}."
        ) from error
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"The policy {path} is not valid {form}: {error}.") from error
    return _policy(checked(content, path), default_name=path.name)


@cache
def shipped_policies() -> tuple[Policy, ...]:
    """The policies that come with smforge, in the order of their files."""
    return tuple(
        _policy(tomllib.loads(path.read_text(encoding="utf-8")), shipped=True)
        for path in sorted(FOLDER.glob("*.toml"))
    )


@cache
def shipped_for_kernels() -> tuple[Excuse, ...]:
    """The excuses that come with smforge for audits."""
    return tuple(one for policy in shipped_policies() for one in policy.kernels)


@cache
def shipped_for_sources(project: str) -> tuple[Excuse, ...]:
    """The excuses that come with smforge for preflights of a project: ``vllm``, ``flashinfer``."""
    named = (policy for policy in shipped_policies() if policy.name == project)
    return tuple(one for policy in named for one in policy.sources)


def target_of(text: str) -> Target:
    """Read a target as policies write it: ``12.0f``, or ``10.0?`` where a cubin does not say."""
    if text.endswith(Suffix.UNKNOWN):
        return Target(ComputeCapability.parse(text.removesuffix(Suffix.UNKNOWN)), Suffix.UNKNOWN)
    return Target.parse(text)


def _policy(content: Mapping[str, Any], default_name: str = "", *, shipped: bool = False) -> Policy:
    name = content.get("name") or default_name
    return Policy(
        name,
        parse_requirements(content.get("require", ())),
        content.get("native", False),
        tuple(_excuse(name, row, shipped=shipped) for row in content.get("allow", ())),
    )


def _excuse(policy: str, row: Mapping[str, Any], *, shipped: bool) -> Excuse:
    return Excuse(
        reason=row["reason"].strip(),
        policy=policy,
        kernel=row.get("kernel"),
        file=row.get("file"),
        source=row.get("source"),
        devices=tuple(ComputeCapability.parse(one) for one in row.get("devices", ())),
        targets=tuple(target_of(one) for one in row.get("targets", ())),
        states=tuple(row.get("states", STATES)),
        reference=row.get("reference"),
        expires=row.get("expires"),
        shipped=shipped,
    )
