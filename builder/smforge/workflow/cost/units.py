"""The units that each cell of a plan compiles, from preflight; each list is configured once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path

from smforge.arch.platforms import PROCESSORS
from smforge.bake.inputs.externals import kept_sources
from smforge.errors import SmforgeError
from smforge.plan.records import Cell, PlannedComponent
from smforge.preflight.cell import (
    CellPreflight,
    Circumstances,
    builds_of,
    examinable,
    question_of,
)
from smforge.preflight.records import Configuration
from smforge.preflight.run import compiled


@dataclass(frozen=True, slots=True)
class Family:
    """What units can only be shared within: the same sources, compiler and CPU."""

    component: str
    version: str
    cuda: str
    processor: str
    settings: tuple[tuple[str, str], ...]
    """Which of its extensions or modules are built; empty for all together."""
    externals: tuple[tuple[str, str | None], ...] = ()
    """The other projects that it is built with, each with its pin."""

    @property
    def whole(self) -> Family:
        """The family of all selections: a unit of one is a unit of another."""
        return replace(self, settings=())


@dataclass(frozen=True, slots=True)
class Build:
    """One build of a family's sources for a list."""

    family: Family
    archs: str


@dataclass(frozen=True, slots=True)
class Pass:
    """One unit compiled for one target."""

    extension: str
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Content:
    """What one build compiles."""

    units: int
    passes: frozenset[Pass]
    not_examined: tuple[str, ...]
    """External projects whose units are not among them."""
    refused: bool = False
    """Whether the sources refuse the list, so that the build would stop."""


def builds_of_cell(cell: Cell) -> tuple[Build, ...]:
    """The builds of a cell whose units can be examined."""
    return tuple(
        Build(family, one.archs)
        for component in examinable(cell)
        for family in (_family(cell, component),)
        for one in builds_of(component)
    )


def contents_of(
    cells: Sequence[Cell], circumstances: Circumstances, sources_store: Path
) -> tuple[dict[Build, Content], dict[Family, str]]:
    """What every build of these cells compiles; and why the sources of a family were not examined.

    From preflight's cache; what is not there takes seconds per list. `sources_store` is where the
    sources of other projects are kept.
    """
    examples: dict[Family, tuple[Cell, PlannedComponent]] = {}
    # A dict keeps the order, and each build once.
    wanted: defaultdict[Family, dict[str, None]] = defaultdict(dict)
    for cell in cells:
        for component in examinable(cell):
            family = _family(cell, component)
            examples.setdefault(family, (cell, component))
            wanted[family] |= {one.archs: None for one in builds_of(component)}
    found: dict[Build, Content] = {}
    failed: dict[Family, str] = {}
    for family, lists in wanted.items():
        circumstances.announce(f"units of {family.component} {family.version}: {len(lists)} lists")
        cell, component = examples[family]
        fetched = kept_sources(component.externals, sources_store)
        try:
            configured = _configured(
                cell, component, tuple(lists), replace(circumstances, fetched=fetched)
            )
        except SmforgeError as error:
            failed[family] = str(error)
            continue
        needed = {one.name for one in component.externals}
        for archs, configuration in configured.items():
            found[Build(family, archs)] = _content(configuration, needed)
    return found, failed


def contents_found(found: CellPreflight) -> dict[str, tuple[Build, Content]]:
    """What preflight has found that a cell compiles, by bake target. Nothing is read or asked."""
    contents = {}
    for one in found.components:
        family = _family(found.cell, one.component)
        needed = {each.name for each in one.component.externals}
        parts = zip(builds_of(one.component), one.result.builds, strict=True)
        for build, part in parts:
            configuration = replace(one.result.configuration, units=part.units)
            contents[build.name] = (
                Build(family, build.archs),
                _content(configuration, needed),
            )
    return contents


def _configured(
    cell: Cell, component: PlannedComponent, lists: tuple[str, ...], circumstances: Circumstances
) -> Mapping[str, Configuration]:
    question = question_of(cell, component, circumstances)
    name = builds_of(component)[0]
    parts = tuple(replace(name, archs=archs) for archs in lists)
    done = compiled(replace(question, builds=parts), circumstances.cache)
    return dict(zip(lists, done, strict=True))


def _family(cell: Cell, component: PlannedComponent) -> Family:
    return Family(
        component.name,
        component.version,
        cell.toolkit.cuda,
        PROCESSORS[cell.platform],
        tuple(sorted(component.settings.items())),
        tuple(sorted((one.name, one.pin) for one in component.externals)),
    )


def _content(configuration: Configuration, needed: Set[str]) -> Content:
    """`needed` are the external projects that the chosen extensions need."""
    return Content(
        units=len(configuration.units),
        passes=frozenset(
            Pass(unit.extension, unit.source, str(target))
            for unit in configuration.units
            # PTX for a target comes from the same pass as its machine code.
            for target in {*unit.targets, *unit.ptx}
        ),
        not_examined=tuple(
            one.name for one in configuration.not_examined if one.name.lower() in needed
        ),
        refused=configuration.refusal is not None,
    )
