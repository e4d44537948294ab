"""FLASHINFER_CUDA_ARCH_LIST: ``9.0a 12.0f``, separated by single spaces.

FlashInfer gives most elements without a suffix one of its own, so the list alone does not say
what is compiled: `effective_targets` does (flashinfer/compilation_context.py, 0.7.2).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

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


def effective_targets(targets: Iterable[Target], cuda_version: str) -> tuple[Target, ...]:
    """What FlashInfer compiles for a list with a toolkit: each target once, in the list's order.

    An explicit suffix is kept; data/flashinfer_suffixes.json says what a plain element gets.
    `cuda_version` is ``12.9`` or ``13.0.2``.
    """
    release = toolkit(cuda_version).release
    return tuple(dict.fromkeys(_effective(target, release) for target in targets))


def _effective(target: Target, release: tuple[int, int]) -> Target:
    if target.suffix is not Suffix.PLAIN:
        return target
    for rule in _rules():
        if rule.first <= target.capability <= rule.last and release >= rule.toolkit_from:
            return Target(target.capability, rule.suffix)
    return target


@dataclass(frozen=True, slots=True)
class _Rule:
    first: ComputeCapability
    last: ComputeCapability
    toolkit_from: tuple[int, int]
    suffix: Suffix


@cache
def _rules() -> tuple[_Rule, ...]:
    return tuple(
        _Rule(
            first=ComputeCapability.parse(row["first"]),
            last=ComputeCapability.parse(row["last"]),
            toolkit_from=toolkit(row["toolkit_from"]).release if "toolkit_from" in row else (0, 0),
            suffix=Suffix(row["suffix"]),
        )
        for row in table("flashinfer_suffixes")["rules"]
    )
