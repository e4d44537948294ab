"""Size limits of an index of wheels: for one file, and for all together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from smforge.errors import UnpublishableError

MB = 1_000_000
"""Decimal, as indexes state their limits."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of an index; None is no limit."""

    wheel_mb: float | None = None
    """Of one file."""
    index_mb: float | None = None
    """Of all files together."""


def require_within(limits: Limits, name: str, sizes: Iterable[tuple[str, int]]) -> None:
    """Raise `UnpublishableError` where wheels, by file name and bytes, exceed an index's limits."""
    wheels = tuple(sizes)
    if limits.wheel_mb is not None:
        large = [(wheel, size) for wheel, size in wheels if size > limits.wheel_mb * MB]
        if large:
            listed = ", ".join(f"{wheel} ({size / MB:.1f} MB)" for wheel, size in large)
            raise UnpublishableError(
                f"{listed} in the index {name}: over the limit of {limits.wheel_mb:g} MB for a "
                "file.",
                remedy="Build for fewer architectures per wheel, or raise the limit "
                "(wheel_mb of the toolkit in versions.json, --max-wheel-mb).",
            )
    total = sum(size for _, size in wheels) / MB
    if limits.index_mb is not None and total > limits.index_mb:
        raise UnpublishableError(
            f"The index {name} has {total:.1f} MB, over the limit of {limits.index_mb:g} MB.",
            remedy="Publish fewer variants in it, or raise --max-index-mb.",
        )
