"""Runs preflight as the flags of ``smforge preflight`` ask."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from smforge.arch.requirement import Requirements, parse_requirements
from smforge.bake.host.settings import HostSettings
from smforge.errors import UsageError
from smforge.matrix.place import build_root
from smforge.policy.excuses import Excuse, allowed_on_command_line
from smforge.policy.files import load_policy
from smforge.preflight.cache import Cache
from smforge.preflight.cell import Circumstances, examinable, preflight_cell
from smforge.preflight.records import Preflight
from smforge.preflight.run import Question, preflight
from smforge.workflow.published import PublishedPreflight, preflight_published

if TYPE_CHECKING:
    from smforge.plan.records import Cell, PlannedComponent


@dataclass(frozen=True, slots=True)
class Flags:
    """The options other than the sources."""

    baselines: tuple[str, ...]
    externals: tuple[str, ...]
    allowed: tuple[str, ...]
    policies: tuple[Path, ...] = ()
    required: tuple[str, ...] = ()
    fetch: bool = False
    """Whether the projects that a variant needs are fetched first."""

    @property
    def requirements(self) -> Requirements | None:
        """What must be compiled; None if nothing was given."""
        if not self.required:
            return None
        found = parse_requirements(self.required)
        if not found:
            raise UsageError(
                f"--require {' '.join(self.required)!r} names no device and no target.",
                remedy="Write a device as 12.1, a target as 12.0f, sm_120 or compute_90.",
            )
        return found

    @property
    def checkouts(self) -> dict[str, Path]:
        """The external projects that were given."""
        return dict(_external(one) for one in self.externals)

    @property
    def excuses(self) -> tuple[Excuse, ...]:
        """The losses that are excused. Raises `ConfigurationError` for a wrong policy."""
        named = [allowed_on_command_line(pattern) for pattern in self.allowed]
        return (*named, *(one for path in self.policies for one in load_policy(path).sources))


@dataclass(frozen=True, slots=True)
class Choice:
    """A variant, and which of its cells and components is meant."""

    variant: str
    platform: str | None
    component: str | None
    config: Path | None


def of_sources(
    flags: Flags, source: Path, cuda: str | None, archs: str | None, cache: Cache
) -> tuple[Preflight, ...]:
    """Examine sources that the user names. Raises `UsageError` when something is missing."""
    if flags.fetch:
        raise UsageError(
            "--fetch fetches what a variant of versions.json pins.",
            remedy="Name a variant in place of --source, or give checkouts with --external.",
        )
    if cuda is None or archs is None:
        raise UsageError(
            "--source needs --cuda and --archs.",
            remedy='For example: --source vllm-0.33.0.tar.gz --cuda 13.0 --archs "12.1a".',
        )
    question = Question(
        source=source,
        cuda=cuda,
        archs=archs,
        baselines=flags.baselines,
        externals=flags.checkouts,
        environment=os.environ,
        excuses=flags.excuses,
        required=flags.requirements,
    )
    return (preflight(question, cache),)


def of_variant(
    flags: Flags, choice: Choice, cache: Cache, *, most: int | None, wheels: bool
) -> tuple[tuple[Preflight, ...], tuple[PublishedPreflight, ...]]:
    """Examine what a variant of versions.json builds, as ``smforge build`` does before it builds.

    Returns what its sources compile, and what the wheels hold that it takes as published.

    `most` is how many components the forms of the report can hold; None for any number. `wheels`
    says whether they can hold what a wheel has. Raises `UsageError` when the variant leaves a
    choice open, and what `preflight_cell` and `ensure_published` raise.
    """
    from smforge.matrix.load import load  # noqa: PLC0415  # defers pydantic
    from smforge.plan.resolve import resolve  # noqa: PLC0415  # defers pydantic

    if flags.required:
        raise UsageError(
            "--require is for --source; a variant says itself what it requires.",
            remedy=f"Change require of {choice.variant} in versions.json.",
        )
    matrix = load(choice.config)
    host = HostSettings.from_environment(os.environ)
    cell = _cell(resolve(matrix, (choice.variant,), host.versions).cells, choice)
    components = _components(cell, choice, most)
    named = [load_policy(matrix.path.resolve().parent / name) for name in cell.policies]
    circumstances = Circumstances(
        root=build_root(matrix.path),
        cache=cache,
        checkouts=host.checkouts,
        baselines=flags.baselines,
        externals=flags.checkouts,
        fetched=_fetched(flags, components, host, matrix.path.resolve().parent),
        excuses=(
            *(one for policy in named for one in policy.sources),
            *flags.excuses,
        ),
    )
    compiled = [one for one in components if one.published is None]
    found = preflight_cell(cell, compiled, circumstances)
    chosen = replace(cell, components=tuple(one for one in components if one.published))
    if chosen.components and not wheels:
        raise UsageError(
            f"{chosen.components[0].name} is taken as published, and reports on wheels have the "
            "forms table, json and markdown here.",
            remedy="Choose another component with --component, or audit the wheel itself.",
        )
    paths = _published(chosen, host)
    excuses = [one for policy in named for one in policy.kernels]
    published = preflight_published(chosen, paths, excuses)
    return tuple(one.result for one in found.components), published


def _published(cell: Cell, host: HostSettings) -> dict[str, Path]:
    """The published wheels of a cell, fetched where they are not there yet."""
    from smforge.bake.inputs.published import (  # noqa: PLC0415  # defers origin
        default_store,
        ensure_published,
    )

    return ensure_published(cell, default_store(), host.origin, announce=_announce)


def _fetched(
    flags: Flags, components: Sequence[PlannedComponent], host: HostSettings, project: Path
) -> dict[str, Path]:
    """The sources of the projects that the components need, as far as they are there."""
    from smforge.bake.inputs.externals import (  # noqa: PLC0415  # defers origin
        default_store,
        ensure_externals,
        kept_sources,
    )

    externals = [external for one in components for external in one.externals]
    if flags.fetch and externals:
        origin = host.origin_for(project)
        ensure_externals(externals, default_store(), origin, announce=_announce)
    return kept_sources(externals, default_store())


def _announce(text: str) -> None:
    sys.stderr.write(f"smforge: {text}\n")


def _cell(cells: Sequence[Cell], choice: Choice) -> Cell:
    matching = [cell for cell in cells if choice.platform in {None, cell.platform}]
    if len(matching) != 1:
        platforms = ", ".join(cell.platform for cell in cells)
        raise UsageError(
            f"Variant {choice.variant} is built for {platforms}.",
            remedy="Choose one with --platform.",
        )
    return matching[0]


def _components(cell: Cell, choice: Choice, most: int | None) -> tuple[PlannedComponent, ...]:
    offered = tuple(
        one for one in cell.components if one.published is not None or one in examinable(cell)
    )
    found = tuple(one for one in offered if choice.component in {None, one.name})
    names = ", ".join(one.name for one in offered) or "nothing that preflight can examine"
    if not found:
        raise UsageError(
            f"{cell.variant} for {cell.platform} has {names}.", remedy="See smforge plan."
        )
    if most is not None and len(found) > most:
        raise UsageError(
            f"{cell.variant} for {cell.platform} has {names}; a JUnit, SARIF or HTML report is "
            "about one of them.",
            remedy="Choose one with --component.",
        )
    return found


def _external(text: str) -> tuple[str, Path]:
    name, separator, directory = text.partition("=")
    if not (name and separator and directory):
        raise UsageError(f"{text!r} is not NAME=DIR.", remedy="For example: --external cutlass=DIR")
    return name, Path(directory)
