"""Preflight of the components that a build compiles, each as its bake targets will build it.

``smforge build`` and ``smforge preflight VARIANT`` both use this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from smforge.arch.platforms import PROCESSORS
from smforge.arch.requirement import Form, RequiredTarget, Requirements
from smforge.arch.target import ComputeCapability
from smforge.findings import Outcome
from smforge.plan.records import Cell, PlannedComponent, Rewritten
from smforge.policy.excuses import Excuse
from smforge.preflight.builds import Build
from smforge.preflight.cache import Cache
from smforge.preflight.compare.required import (
    missing_targets,
    required_instead,
    target_missing,
    with_devices_instead,
)
from smforge.preflight.pins import differences
from smforge.preflight.records import Preflight
from smforge.preflight.run import Question, preflight, with_findings
from smforge.preflight.selection import Selection, flashinfer_selection, named_extensions
from smforge.preflight.sources.fetch import fetch_sdist
from smforge.preflight.sources.tree import Project, distribution


@dataclass(frozen=True, slots=True)
class ComponentPreflight:
    """The preflight of one component."""

    component: PlannedComponent
    result: Preflight

    @property
    def title(self) -> str:
        """``vllm 0.33.0``."""
        return f"{self.component.name} {self.component.version}"


@dataclass(frozen=True, slots=True)
class CellPreflight:
    """The preflights of all components of a cell that can be examined."""

    cell: Cell
    components: tuple[ComponentPreflight, ...]

    @property
    def outcome(self) -> Outcome:
        """Pass where no component loses anything; a cell without examined components passes."""
        outcomes = {one.result.outcome for one in self.components}
        return Outcome.FAIL if Outcome.FAIL in outcomes else Outcome.PASS

    @property
    def required_instead(self) -> dict[RequiredTarget, ComputeCapability]:
        """The required targets that the sources collapse, with the devices they are for."""
        return required_instead(
            self.cell.requirements,
            [one.targets for one in self.cell.components],
            [one.result for one in self.components],
        )

    @property
    def requirements(self) -> Requirements:
        """What the audit of the build has to require."""
        return with_devices_instead(self.cell.requirements, self.required_instead)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """The other inputs of a cell's preflight."""

    root: Path
    """The directory of the matrix, which holds docker/ too."""
    cache: Cache
    checkouts: Mapping[str, Path] = field(default_factory=dict)
    """Trees that are built in place of a component's release, by the component's name."""
    baselines: tuple[str, ...] = ()
    """Lists to compare with in place of those of compare/baselines.py."""
    externals: Mapping[str, Path] = field(default_factory=dict)
    """Checkouts of external projects that a user gives, by name."""
    fetched: Mapping[str, Path] = field(default_factory=dict)
    """Sources of external projects that were fetched for the build, by name."""
    excuses: tuple[Excuse, ...] = ()
    """Excuses in addition to those that come with smforge."""
    announce: Callable[[str], None] = field(default=lambda _text: None)
    """Called with a sentence before what may take seconds."""


def with_collapses(found: CellPreflight) -> Cell:
    """The cell with what its sources compile otherwise than asked among what is rewritten."""
    collapses = (
        Rewritten(one.component.name, str(collapse.target), tuple(collapse.compiled_as), "sources")
        for one in found.components
        for collapse in one.result.collapsed
    )
    return replace(found.cell, rewritten=(*found.cell.rewritten, *collapses))


def examinable(cell: Cell) -> tuple[PlannedComponent, ...]:
    """The components that are compiled from sources which preflight understands."""
    return tuple(one for one in cell.components if one.name in set(Project) and one.archs)


def preflight_cell(
    cell: Cell, components: Sequence[PlannedComponent], circumstances: Circumstances
) -> CellPreflight:
    """Examine components of a cell, from the sources that the matrix pins.

    Raises `ToolError` when the sources cannot be fetched or configured, `DamagedInputError` when
    they are not what the matrix pins.
    """
    found = CellPreflight(
        cell, tuple(_preflight_component(cell, one, circumstances) for one in components)
    )
    return replace(found, components=tuple(_with_missing_targets(found)))


def _with_missing_targets(found: CellPreflight) -> Iterator[ComponentPreflight]:
    """The components, each with the required targets that it asks for and nobody compiles.

    A target may come out of any component; one that could not be examined may hold it. Those in
    whose place the device is required are not missed.
    """
    configurations = [one.result.configuration for one in found.components]
    refused = any(one.refusal is not None for one in configurations)
    missing = () if refused else missing_targets(found.requirements, configurations)
    examined = {
        one.component.name
        for one in found.components
        # What is selected may be another project's, which was not there.
        if one.result.configuration.units or not one.result.configuration.not_examined
    }
    lacked = [
        one
        for one in missing
        if one not in found.required_instead
        and all(each.name in examined for each in found.cell.components if _asks(each, one))
    ]
    for component in found.components:
        configuration = component.result.configuration
        findings = [
            target_missing(one, configuration) for one in lacked if _asks(component.component, one)
        ]
        yield replace(component, result=with_findings(component.result, findings))


def _asks(component: PlannedComponent, required: RequiredTarget) -> bool:
    """Whether a component's list asks for a target in the form that is required."""
    held = {
        Form.CUBIN: component.targets,
        Form.PTX: component.ptx,
        Form.ANY: (*component.targets, *component.ptx),
    }
    return required.target in held[required.form]


def _required(requirements: Requirements, component: PlannedComponent) -> Requirements:
    """The devices that a component must lose nothing for.

    Which targets come out is a question to all components together.
    """
    of_targets = (
        one.target.capability
        for one in requirements.targets
        if one.form is not Form.PTX and _asks(component, one)
    )
    return Requirements(tuple(dict.fromkeys((*requirements.devices, *of_targets))))


def _preflight_component(
    cell: Cell, component: PlannedComponent, circumstances: Circumstances
) -> ComponentPreflight:
    listed = " ".join(component.archs)
    circumstances.announce(f"preflight: {component.name} {component.version} for {listed}")
    result = preflight(question_of(cell, component, circumstances), circumstances.cache)
    pins = tuple(differences(cell, component, result))
    return ComponentPreflight(component, with_findings(result, pins))


def question_of(cell: Cell, component: PlannedComponent, circumstances: Circumstances) -> Question:
    """What to examine of a component of a cell. Raises what fetching its sources raises."""
    project = Project(component.name)
    return Question(
        source=_source(cell, component, circumstances),
        cuda=cell.toolkit.cuda,
        archs=" ".join(component.archs),
        baselines=circumstances.baselines,
        externals=circumstances.externals if project is Project.VLLM else {},
        fetched=circumstances.fetched if project is Project.VLLM else {},
        excuses=circumstances.excuses,
        builds=builds_of(component),
        selection=_selection(component, circumstances.root),
        required=_required(cell.requirements, component),
        processor=PROCESSORS[cell.platform],
    )


def _source(cell: Cell, component: PlannedComponent, circumstances: Circumstances) -> Path:
    """The checkout that is built, else the archive that the matrix pins."""
    if (tree := circumstances.checkouts.get(component.name)) is not None:
        return tree
    return fetch_sdist(
        distribution(Project(component.name)),
        component.version,
        circumstances.cache.directory / "sdists",
        sha256=_pinned_digest(cell, component),
    )


def _pinned_digest(cell: Cell, component: PlannedComponent) -> str | None:
    """The SHA-256 with which the bake target compares the source archive."""
    return cell.variables.get(f"{component.name.upper()}_SHA256") or None


def builds_of(component: PlannedComponent) -> tuple[Build, ...]:
    """The bake targets that compile a component, each with its part of the list."""
    if component.name == Project.FLASHINFER:
        return tuple(
            Build(f"{component.name}-{target.sm.replace('_', '')}", str(target))
            for target in component.targets
        )
    return (Build(component.name, " ".join(component.archs)),)


def _selection(component: PlannedComponent, root: Path) -> Selection | None:
    if (name := component.settings.get("selection")) is not None:
        return flashinfer_selection(name, root)
    if (names := component.settings.get("extensions")) is not None:
        made_by = {
            extension: external.name
            for external in component.externals
            for extension in external.extensions
        }
        return named_extensions(names, made_by)
    return None
