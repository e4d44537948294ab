"""The exemptions that come with smforge (data/policies), read without pydantic.

A test holds these files against the policy models, so an audit need not: importing pydantic costs
more time than auditing a library.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from smforge.arch.target import ComputeCapability, Suffix, Target
from smforge.policy.exemptions import Exemption
from smforge.verdict.reach import EXCUSABLE

FOLDER = Path(__file__).parent / "data" / "audit"


@cache
def shipped_exemptions() -> tuple[Exemption, ...]:
    """All exceptions of the shipped policies, by policy name and in the order of the files."""
    return tuple(
        _exemption(policy["name"], row)
        for policy in (_read(path) for path in sorted(FOLDER.glob("*.toml")))
        for row in policy.get("allow", ())
    )


def target_of(text: str) -> Target:
    """Read a target as policies write it: ``12.0f``, or ``10.0?`` where a cubin does not say."""
    if text.endswith(Suffix.UNKNOWN):
        return Target(ComputeCapability.parse(text.removesuffix(Suffix.UNKNOWN)), Suffix.UNKNOWN)
    return Target.parse(text)


def _read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _exemption(policy: str, row: dict[str, Any]) -> Exemption:
    return Exemption(
        reason=row["reason"].strip(),
        policy=policy,
        kernel=row.get("kernel"),
        file=row.get("file"),
        devices=tuple(ComputeCapability.parse(one) for one in row.get("devices", ())),
        targets=tuple(target_of(one) for one in row.get("targets", ())),
        states=tuple(row.get("states", EXCUSABLE)),
        reference=row.get("reference"),
        expires=row.get("expires"),
        shipped=True,
    )
