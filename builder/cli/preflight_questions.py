"""From the flags of ``smforge preflight`` to what is asked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from builder.errors import UsageError
from builder.preflight.cache import Cache
from builder.preflight.compare import Allowance
from builder.preflight.run import Question

if TYPE_CHECKING:
    from builder.plan.records import Cell, PlannedComponent

T = TypeVar("T")

DISTRIBUTIONS = {"vllm": "vllm", "flashinfer": "flashinfer-python"}
"""The components that can be examined, and what their sdists are called."""


@dataclass(frozen=True, slots=True)
class Flags:
    """What was given beside the sources."""

    baselines: tuple[str, ...]
    externals: tuple[str, ...]
    allowed: tuple[str, ...]

    def question(self, source: Path, cuda: str, archs: str) -> Question:
        """Ask about one list."""
        return Question(
            source=source,
            cuda=cuda,
            archs=archs,
            baselines=self.baselines,
            externals=dict(_external(one) for one in self.externals),
            environment=os.environ,
            allowances=tuple(Allowance(one, "allowed on the command line") for one in self.allowed),
        )


def of_sources(flags: Flags, source: Path, cuda: str | None, archs: str | None) -> Question:
    """Ask about sources that the user names. Raises `UsageError` when something is missing."""
    if cuda is None or archs is None:
        raise UsageError(
            "--source needs --cuda and --archs.",
            remedy='For example: --source vllm-0.33.0.tar.gz --cuda 13.0 --archs "12.1a".',
        )
    return flags.question(source, cuda, archs)


def of_variant(  # noqa: PLR0913, PLR0917 - one parameter per flag
    flags: Flags,
    variant: str,
    platform: str | None,
    component: str | None,
    config: Path | None,
    cache: Cache,
) -> Question:
    """Ask about what a variant of versions.json builds; its sdist is fetched once.

    Raises `UsageError` when the variant leaves a choice open, `ToolError` when the sdist cannot
    be fetched.
    """
    from builder.matrix.load import load  # noqa: PLC0415
    from builder.plan.resolve import resolve  # noqa: PLC0415
    from builder.preflight.fetch import fetch_sdist  # noqa: PLC0415

    cells = [
        cell
        for cell in resolve(load(config), (variant,)).cells
        if platform is None or cell.platform == platform
    ]
    cell = _one(cells, f"variant {variant}", [cell.platform for cell in cells], "--platform")
    built = _buildable(cell, component)
    names = [one.name for one in built]
    chosen = _one(built, f"{variant} for {cell.platform}", names, "--component")
    archive = fetch_sdist(DISTRIBUTIONS[chosen.name], chosen.version, cache.directory / "sdists")
    return flags.question(archive, cell.toolkit.cuda, " ".join(chosen.archs))


def _buildable(cell: Cell, component: str | None) -> list[PlannedComponent]:
    """The components with a list of their own; vLLM alone where it is among them."""
    found = [
        one
        for one in cell.components
        if one.name in DISTRIBUTIONS and one.archs and component in {None, one.name}
    ]
    vllm = [one for one in found if one.name == "vllm"]
    return vllm or found


def _one(found: Sequence[T], what: str, names: Sequence[str], flag: str) -> T:
    if len(found) != 1:
        choice = ", ".join(names) or "nothing that preflight can examine"
        raise UsageError(f"{what} has {choice}.", remedy=f"Choose one with {flag}.")
    return found[0]


def _external(text: str) -> tuple[str, Path]:
    name, separator, directory = text.partition("=")
    if not (name and separator and directory):
        raise UsageError(f"{text!r} is not NAME=DIR.", remedy="For example: --external cutlass=DIR")
    return name, Path(directory)
