"""Whether a cell's last verified result is still what a build would make, and if not, why.

`smforge build` skips a cell for which there is no reason to build it, and ``--explain`` shows the
reasons: both ask here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from smforge.bake.artefacts import changes
from smforge.bake.cell_paths import CellPaths, shown
from smforge.bake.inputs.digest import CELL, SMFORGE, inputs_digest, inputs_of
from smforge.bake.known_digests import KnownDigests
from smforge.bake.record import RECORD_NAME, RunRecord, former_record
from smforge.plan.document import cell_document
from smforge.plan.records import Cell
from smforge.version import __version__
from smforge.workflow.building.results import LookAhead
from smforge.workflow.building.settings import BuildSettings


@dataclass(frozen=True, slots=True)
class Freshness:
    """The state of a cell's last verified result."""

    inputs: Mapping[str, str]
    """The inputs as they are now: the SHA-256 of each, by name."""
    former: RunRecord | None
    """The record of the last verified result; None where there is none."""
    reasons: tuple[str, ...]
    """Why the cell has to be built, as sentences; empty where its result is up to date."""
    unhashed: int = 0
    """The artefacts that were hashed earlier, to which nobody wrote since."""

    @property
    def up_to_date(self) -> bool:
        return not self.reasons


def freshness(settings: BuildSettings, cell: Cell) -> Freshness:
    """Compare a cell with its last verified result. No engine is asked."""
    policies = settings.policies_of(cell)
    inputs = inputs_of(cell, settings.root, settings.matrix, policies, settings.host.checkout)
    paths = settings.paths(cell)
    former = former_record(paths.final / RECORD_NAME)
    if former is None:
        return Freshness(inputs, None, (_no_result(paths),))
    reasons = tuple(reasons_against(former, cell, inputs, shown(paths.final), settings.look_ahead))
    # Hashing the artefacts takes longest, and one reason is enough to build.
    if reasons:
        return Freshness(inputs, former, reasons)
    if settings.verify:
        return Freshness(inputs, former, tuple(changes(former, paths.final)))
    known = KnownDigests.of(paths.final)
    reasons = tuple(changes(former, paths.final, known.below(paths.final)))
    known.keep()
    return Freshness(inputs, former, reasons, known.taken)


def _no_result(paths: CellPaths) -> str:
    last = former_record(paths.logs / RECORD_NAME)
    if last is None:
        return f"There is no result in {shown(paths.final)}."
    return f"There is no result in {shown(paths.final)}: the last build ended as {last.result!r}."


def reasons_against(
    former: RunRecord, cell: Cell, inputs: Mapping[str, str], where: object, look_ahead: LookAhead
) -> Iterator[str]:
    """Why the record of a result, which lies in `where`, is not of what a build would make now."""
    if former.result != "passed":
        yield f"The record in {where} says {former.result!r}."
    elif (contradiction := former.contradiction) is not None:
        yield f"The record in {where} says 'passed', but {contradiction}."
    if former.inputs_sha256 != inputs_digest(inputs):
        yield from _changed_inputs(former, cell, inputs)
    if not look_ahead.accepts(former.preflight):
        yield _preflight_reason(former)


def _changed_inputs(former: RunRecord, cell: Cell, inputs: Mapping[str, str]) -> Iterator[str]:
    before = former.inputs
    if not before:
        yield "An input changed; the record is of an older smforge and does not name its inputs."
        return
    if before.get(CELL) != inputs.get(CELL):
        yield from _changed_plan(former.plan, cell_document(cell))
    if before.get(SMFORGE) != inputs.get(SMFORGE):
        yield f"smforge is {__version__} and was {former.tool.version}."
    for name in sorted({*before, *inputs} - {CELL, SMFORGE}):
        if name not in before:
            yield f"{name} is new."
        elif name not in inputs:
            yield f"{name} is gone."
        elif before[name] != inputs[name]:
            yield f"{name} changed."


def _changed_plan(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    old, new = dict(_flat("", before)), dict(_flat("", now))
    for place in sorted({*old, *new}):
        if old.get(place) != new.get(place):
            yield f"The plan's {place} is {_said(new, place)} and was {_said(old, place)}."


def _flat(place: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The single values of a document by place: ``components[flashinfer].version``."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(f"{place}.{key}" if place else str(key), item)
    elif isinstance(value, list | tuple) and any(isinstance(one, Mapping) for one in value):
        for number, item in enumerate(value):
            name = item.get("name", number) if isinstance(item, Mapping) else number
            yield from _flat(f"{place}[{name}]", item)
    else:
        yield place, list(value) if isinstance(value, tuple) else value


def _said(values: Mapping[str, Any], place: str) -> str:
    value = values.get(place)
    if value is None or value == []:
        return "nothing"
    return repr(" ".join(map(str, value)) if isinstance(value, list) else value)


def _preflight_reason(former: RunRecord) -> str:
    if former.preflight is None:
        return "The result was built without preflight."
    return "The result was built although preflight predicted a loss (--preflight record)."
