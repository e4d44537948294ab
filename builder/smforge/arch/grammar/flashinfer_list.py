"""FLASHINFER_CUDA_ARCH_LIST: ``9.0a 12.0f``, separated by single spaces.

FlashInfer gives most elements without a suffix one of its own, so the list alone does not say
what is compiled: `effective_targets` does, for FlashInfer 0.7.0 and newer
(flashinfer/compilation_context.py of each release).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from packaging.version import Version

from smforge.arch.tables import table
from smforge.arch.target import ComputeCapability, Suffix, Target
from smforge.arch.toolkits import toolkit
from smforge.errors import ArchitectureError

_ENTRY = re.compile(r"\d+\.\d[af]?\Z")


def parse(text: str) -> tuple[Target, ...]:
    """Read a list as written. Order and repetitions are kept. Raises `ArchitectureError`."""
    words = text.split(" ")
    if not all(_ENTRY.match(word) for word in words):
        raise ArchitectureError(
            f"{text!r} is not a FLASHINFER_CUDA_ARCH_LIST.",
            remedy="Separate elements such as 9.0a and 12.0f with exactly one space.",
        )
    return tuple(Target.parse(word) for word in words)


def render(targets: Iterable[Target]) -> str:
    """The list as FlashInfer takes it."""
    return " ".join(str(target) for target in targets)


def effective_targets(
    targets: Iterable[Target], cuda_version: str, release: str
) -> tuple[Target, ...]:
    """What a release of FlashInfer compiles for a list: each target once, in the list's order.

    An explicit suffix is kept; data/flashinfer_suffixes.json says what a plain element gets.
    `cuda_version` is ``12.9`` or ``13.0.2``, `release` is FlashInfer's: ``0.7.2.post1``. Raises
    `ArchitectureError` for what the release refuses with this toolkit.
    """
    cuda = toolkit(cuda_version).release
    rules = _rules(release)
    return tuple(dict.fromkeys(_effective(target, cuda, release, rules) for target in targets))


def oldest_release() -> str:
    """The oldest release whose rules are known; none before it has packages per architecture."""
    return str(table("flashinfer_suffixes")["releases"][-1]["from"])


def _effective(
    target: Target, cuda: tuple[int, int], release: str, rules: tuple[_Rule, ...]
) -> Target:
    if target.suffix is not Suffix.PLAIN:
        return target
    for rule in rules:
        if not rule.first <= target.capability <= rule.last:
            continue
        if rule.refused_before is not None and cuda < rule.refused_before:
            needed = ".".join(map(str, rule.refused_before))
            raise ArchitectureError(
                f"FlashInfer {release} refuses {target} before CUDA {needed}.",
                remedy=f"Use CUDA {needed} or later, or write the suffix: {target}a.",
            )
        if rule.suffix is not None and cuda >= rule.toolkit_from:
            return Target(target.capability, rule.suffix)
    return target


@dataclass(frozen=True, slots=True)
class _Rule:
    first: ComputeCapability
    last: ComputeCapability
    toolkit_from: tuple[int, int]
    suffix: Suffix | None
    refused_before: tuple[int, int] | None


@cache
def _rules(release: str) -> tuple[_Rule, ...]:
    rows = table("flashinfer_suffixes")["releases"]
    found = next((row for row in rows if Version(release) >= Version(row["from"])), rows[-1])
    return tuple(
        _Rule(
            first=ComputeCapability.parse(rule["first"]),
            last=ComputeCapability.parse(rule["last"]),
            toolkit_from=_cuda(rule.get("toolkit_from")) or (0, 0),
            suffix=Suffix(rule["suffix"]) if "suffix" in rule else None,
            refused_before=_cuda(rule.get("refused_before")),
        )
        for rule in found["rules"]
    )


def _cuda(version: str | None) -> tuple[int, int] | None:
    return None if version is None else toolkit(version).release
