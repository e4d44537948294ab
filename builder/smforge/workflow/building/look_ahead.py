"""Preflight of a cell before it is built: its reports, and whether the build may go on."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from smforge.bake.cell_paths import shown
from smforge.bake.inputs.externals import externals_of, kept_sources
from smforge.bake.record import CollapseRecord, ForeseenComponent, PreflightRecord
from smforge.errors import PredictedLossError
from smforge.findings import Finding, Level, Outcome
from smforge.plan.records import Cell
from smforge.policy.files import load_policy
from smforge.preflight.cache import Cache, default_directory
from smforge.preflight.cell import (
    CellPreflight,
    Circumstances,
    ComponentPreflight,
    examinable,
    preflight_cell,
)
from smforge.report.preflight.document import render_json
from smforge.sigterm import ended_tidily
from smforge.verdict.expectation import Expectation, expectations_of
from smforge.workflow.building.results import LookAhead, Predicted
from smforge.workflow.building.settings import BuildSettings
from smforge.writing import write_whole


def look_ahead(settings: BuildSettings, cell: Cell) -> Predicted | None:
    """Examine what a cell compiles; None where the settings turn that off.

    The reports are written beside the logs, in place of those of the run before. Raises what
    `preflight_cell` raises.
    """
    logs = settings.paths(cell).logs
    for old in logs.glob("preflight-*.json"):
        old.unlink()
    if settings.look_ahead is LookAhead.OFF:
        return None
    predicted = predict(settings, cell)
    for name, report in predicted.reports.items():
        write_whole(logs / name, report)
    return predicted


def predict(settings: BuildSettings, cell: Cell) -> Predicted:
    """The result of preflight for a cell, and its consequence for the build."""
    circumstances = Circumstances(
        root=settings.root,
        cache=Cache(default_directory()),
        checkouts=settings.host.checkouts,
        fetched=kept_sources(externals_of(cell), settings.sources_store),
        excuses=tuple(
            one for path in settings.policies_of(cell) for one in load_policy(path).sources
        ),
        announce=settings.messages.announce,
    )
    with ended_tidily():
        found = preflight_cell(cell, examinable(cell), circumstances)
    reports = {_report_name(one): render_json(one.result) for one in found.components}
    failed = found.outcome is Outcome.FAIL
    record = PreflightRecord(
        verdict=found.outcome.value if found.components else "nothing",
        overridden=failed and settings.look_ahead is LookAhead.RECORD,
        components=tuple(_recorded(one, reports[_report_name(one)]) for one in found.components),
        required_instead={str(one): str(device) for one, device in found.required_instead.items()},
    )
    error = None
    if failed and settings.look_ahead is LookAhead.STOP:
        error = _loss(found, settings.paths(cell).logs)
    return Predicted(found, record, reports, error)


def expectations_for(
    predicted: Predicted, directory: Path, wheels: Iterable[Path]
) -> tuple[Expectation, ...]:
    """What the wheels below a directory should hold; each build exports to one of its name."""
    paths: dict[str, list[str]] = defaultdict(list)
    for wheel in wheels:
        # An audit of several subjects puts their names before the paths of their files.
        paths[wheel.relative_to(directory).parts[0]].append(f"{wheel.name}/")
    return tuple(
        replace(one, within=tuple(paths[one.build or ""]))
        for name, report in predicted.reports.items()
        for one in expectations_of(json.loads(report), name)
    )


def _report_name(one: ComponentPreflight) -> str:
    return f"preflight-{one.component.name}.json"


def _recorded(one: ComponentPreflight, report: str) -> ForeseenComponent:
    return ForeseenComponent(
        component=one.component.name,
        verdict="fail" if one.result.outcome is Outcome.FAIL else "pass",
        findings=len(_stopping(one)),
        source_sha256=one.result.source.digest.removeprefix("sha256:"),
        collapsed=tuple(
            CollapseRecord(
                target=str(collapse.target),
                compiled_as=tuple(str(target) for target in collapse.compiled_as),
            )
            for collapse in one.result.collapsed
        ),
        report=_report_name(one),
        report_sha256=hashlib.sha256(report.encode()).hexdigest(),
    )


def _loss(found: CellPreflight, logs: Path) -> PredictedLossError:
    cell = found.cell
    losses = [
        f"{cell.variant} {cell.platform}, {one.title}: {_sentence(finding)}"
        for one in found.components
        for finding in _stopping(one)
    ]
    return PredictedLossError(
        losses,
        remedy=f"Nothing was built; the reports are {shown(logs)}/preflight-*.json. "
        "To build it with the loss: --preflight record.",
    )


def _sentence(finding: Finding) -> str:
    return f"{finding.rule}: {finding.message} {finding.remedy or ''}".rstrip()


def _stopping(one: ComponentPreflight) -> list[Finding]:
    return [finding for finding in one.result.findings if finding.level is Level.ERROR]
