"""What the devices of the cells get from a new release, against the release before.

Both are configured as ``smforge build`` configures them, each with its own matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from smforge.arch.target import ComputeCapability
from smforge.bake.inputs.externals import default_store, externals_of, kept_sources
from smforge.errors import SmforgeError
from smforge.findings import Finding, Level
from smforge.matrix.load import Matrix
from smforge.matrix.place import build_root
from smforge.plan.records import Cell, PlannedComponent
from smforge.plan.resolve import resolve
from smforge.policy.excuses import Excuse, reason_for
from smforge.policy.files import load_policy, shipped_for_sources
from smforge.preflight.cache import Cache
from smforge.preflight.cell import Circumstances, ComponentPreflight, examinable, preflight_cell
from smforge.preflight.compare.losses import Key, Reach, reaches_of
from smforge.preflight.sources.tree import Project
from smforge.workflow.bumping.proposal import Proposal


@dataclass(frozen=True, slots=True)
class DeviceChange:
    """What one device gets from the sources, before and after."""

    device: ComputeCapability
    before: int
    """Sources with machine code that it runs."""
    after: int
    lost: tuple[str, ...]
    """Sources that are in both releases, and whose machine code only the older gives it."""
    removed: tuple[str, ...]
    """Sources that it ran and that the new release no longer has under that name."""
    new: int
    """Sources that it runs and that the release before did not have or did not give it."""


@dataclass(frozen=True, slots=True)
class ComponentChange:
    """A component of a cell, before and after."""

    cell: Cell
    before: str | None
    """``vllm 0.32.0``; None where the cell did not have it or it could not be examined."""
    after: str
    devices: tuple[DeviceChange, ...]
    errors: tuple[Finding, ...]
    """The errors of the new preflight that the one before did not have."""
    remark: str | None = None
    """Why there is no comparison."""

    @property
    def loses(self) -> bool:
        """Whether a device loses something, or the build would stop where it did not before."""
        return bool(self.errors) or any(one.lost for one in self.devices)


def compare(
    proposal: Proposal, cache: Cache, announce: Callable[[str], None]
) -> tuple[ComponentChange, ...]:
    """Examine every component of every cell that the proposal touches.

    Raises what `preflight_cell` raises for the new release; where the release before cannot be
    examined, the change says so.
    """
    old = {one.name: one for one in resolve(proposal.before).cells}
    found = []
    for cell in resolve(proposal.after).cells:
        before = old.get(cell.name)
        for component in examinable(cell):
            there = before.component(component.name) if before else None
            if before is not None and _inputs(before, there) == _inputs(cell, component):
                continue
            examine = _Examination(proposal.after, cache, announce)
            new = examine.whole(cell, component)
            examine_old = _Examination(proposal.before, cache, announce)
            found.append(_compared(cell, before, there, new, examine_old))
    return tuple(found)


def _inputs(cell: Cell, component: PlannedComponent | None) -> tuple[object, ...]:
    """What the preflight of a component depends on, its policies apart.

    vLLM's sources are compared with the FlashInfer of the cell too.
    """
    flashinfer = cell.component("flashinfer")
    asks = component is not None and component.name == Project.VLLM
    return component, cell.toolkit, flashinfer.version if flashinfer and asks else None


def unexamined(proposal: Proposal) -> tuple[str, ...]:
    """Sentences about the components that change and that preflight does not examine."""
    old = {one.name: one for one in resolve(proposal.before).cells}
    cells: dict[tuple[str, str], list[str]] = {}
    for cell in resolve(proposal.after).cells:
        before = old.get(cell.name)
        examined = examinable(cell)
        for component in cell.components:
            there = before.component(component.name) if before else None
            if there is None or there.version == component.version or component in examined:
                continue
            change = f"{component.name} {there.version} → {component.version}"
            why = (
                "its sources are none that preflight reads"
                if component.archs
                else "its wheels are taken as published, and smforge diff OLD.whl NEW.whl compares "
                "them"
            )
            cells.setdefault((change, why), []).append(f"{cell.variant} {cell.platform}")
    return tuple(f"{change} ({', '.join(names)}): {why}" for (change, why), names in cells.items())


@dataclass(frozen=True, slots=True)
class _Examination:
    """Preflight of single components, with one matrix."""

    matrix: Matrix
    cache: Cache
    announce: Callable[[str], None]

    def whole(self, cell: Cell, component: PlannedComponent) -> ComponentPreflight:
        """The preflight of a component of a cell."""
        return self._examine(cell, component, ())

    def compiled(self, cell: Cell, component: PlannedComponent) -> ComponentPreflight:
        """What a component of a cell compiles; what other lists would give it is not asked.

        Half of a preflight's time goes into other lists. The only one here is compiled anyway.
        """
        # FlashInfer's list is configured target by target.
        apart = component.name == Project.FLASHINFER
        own = str(component.targets[0]) if apart else " ".join(component.archs)
        return self._examine(cell, component, (own,))

    def _examine(
        self, cell: Cell, component: PlannedComponent, baselines: tuple[str, ...]
    ) -> ComponentPreflight:
        circumstances = Circumstances(
            root=build_root(self.matrix.path),
            cache=self.cache,
            baselines=baselines,
            fetched=kept_sources(externals_of(cell), default_store()),
            excuses=self.excuses(cell),
            announce=lambda text: self.announce(f"{cell.variant} {cell.platform}, {text}"),
        )
        (found,) = preflight_cell(cell, (component,), circumstances).components
        return found

    def excuses(self, cell: Cell) -> tuple[Excuse, ...]:
        """The losses that the policies of a cell excuse."""
        folder: Path = self.matrix.path.resolve().parent
        return tuple(one for name in cell.policies for one in load_policy(folder / name).sources)


def _compared(
    cell: Cell,
    before: Cell | None,
    there: PlannedComponent | None,
    new: ComponentPreflight,
    examine: _Examination,
) -> ComponentChange:
    old, remark = None, None
    errors = [one for one in new.result.findings if one.level is Level.ERROR]
    if before is not None and there is not None:
        ask = examine.whole if errors else examine.compiled
        try:
            old = ask(before, there)
        except SmforgeError as error:
            remark = f"{there.name} {there.version} could not be examined: {error}"
    had = {_identity(one) for one in old.result.findings} if old else set()
    excuses = (*examine.excuses(cell), *shipped_for_sources(Project(new.component.name)))
    return ComponentChange(
        cell=cell,
        before=old.title if old else None,
        after=new.title,
        devices=tuple(_devices(old, new, excuses)) if old else (),
        errors=tuple(one for one in errors if _identity(one) not in had),
        remark=remark,
    )


def _devices(
    old: ComponentPreflight, new: ComponentPreflight, excuses: tuple[Excuse, ...]
) -> Iterator[DeviceChange]:
    there = set(_keys(new))
    for device in sorted(new.result.devices):
        before = _native(reaches_of(old.result.configuration, device))
        after = _native(reaches_of(new.result.configuration, device))
        gone = [key for key in before if key not in after]
        lost = [
            key
            for key in gone
            if key in there and reason_for(excuses, key[0], key[1], device) is None
        ]
        yield DeviceChange(
            device=device,
            before=len(before),
            after=len(after),
            lost=tuple(key[2] for key in lost),
            removed=tuple(key[2] for key in gone if key not in there),
            new=sum(key not in before for key in after),
        )


def _keys(one: ComponentPreflight) -> Iterator[Key]:
    for unit in one.result.configuration.units:
        yield unit.extension, unit.source, unit.label


def _native(reaches: Mapping[Key, Reach]) -> dict[Key, Reach]:
    return {key: how for key, how in reaches.items() if how is Reach.NATIVE}


def _identity(one: Finding) -> tuple[object, ...]:
    """What makes a finding the same in two releases; lines of the build description move."""
    return one.rule, one.device, one.target, one.sources
