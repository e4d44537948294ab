"""What policy files let the sources of a build lose."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from smforge.arch.target import ComputeCapability
from smforge.policy.allowances import Allowance
from smforge.policy.files import load_policy


def allowed_sources(policies: Sequence[Path]) -> tuple[Allowance, ...]:
    """The losses of sources that policies accept. Raises `ConfigurationError`."""
    return tuple(
        Allowance(
            pattern=one.source or "",
            reason=one.reason,
            devices=tuple(ComputeCapability.parse(device) for device in one.devices),
            expires=one.expires,
        )
        for path in policies
        for one in load_policy(path).sources
    )
