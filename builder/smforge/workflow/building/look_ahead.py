"""Preflight of a cell before it is built: its reports, and whether the build may go on."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from smforge.bake.cell_paths import shown
from smforge.bake.inputs.externals import externals_of, kept_sources
from smforge.bake.inputs.published import ensure_published
from smforge.bake.record import CollapseRecord, ForeseenComponent, PreflightRecord
from smforge.errors import PredictedLossError
from smforge.findings import Finding, Level, Outcome
from smforge.plan.records import Cell
from smforge.policy.files import Policy, load_policy
from smforge.preflight.cache import Cache, default_directory
from smforge.preflight.cell import (
    CellPreflight,
    Circumstances,
    ComponentPreflight,
    examinable,
    preflight_cell,
)
from smforge.report.build import to_json
from smforge.report.preflight.document import render_json
from smforge.sigterm import ended_tidily
from smforge.verdict.expectation import Expectation, expectations_of
from smforge.workflow.building.results import LookAhead, Predicted
from smforge.workflow.building.settings import BuildSettings
from smforge.workflow.published import PublishedPreflight, preflight_published, way_out
from smforge.writing import write_whole

_OVERRIDE = " To build it with the loss: --preflight record."


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
    policies = [load_policy(path) for path in settings.policies_of(cell)]
    circumstances = Circumstances(
        root=settings.root,
        cache=Cache(default_directory()),
        checkouts=settings.host.checkouts,
        fetched=kept_sources(externals_of(cell), settings.sources_store),
        excuses=tuple(one for policy in policies for one in policy.sources),
        announce=settings.messages.announce,
    )
    with ended_tidily():
        found = preflight_cell(cell, examinable(cell), circumstances)
        published = _read_published(settings, cell, policies)
    reports = {_report_name(one): render_json(one.result) for one in found.components}
    reports |= {_report_name(one): to_json(one.report) for one in published}
    failed = found.outcome is Outcome.FAIL
    lacking = any(one.problems for one in published)
    record = PreflightRecord(
        verdict=_verdict(found, published),
        overridden=(failed or lacking) and settings.look_ahead is LookAhead.RECORD,
        components=(
            *(_recorded(one, reports[_report_name(one)]) for one in found.components),
            *(_recorded_wheel(one, reports[_report_name(one)]) for one in published),
        ),
        required_instead={str(one): str(device) for one, device in found.required_instead.items()},
    )
    error = None
    if (failed or lacking) and settings.look_ahead is LookAhead.STOP:
        error = _loss(found, published, settings.paths(cell).logs)
    return Predicted(found, record, reports, error, published)


def _read_published(
    settings: BuildSettings, cell: Cell, policies: Sequence[Policy]
) -> tuple[PublishedPreflight, ...]:
    announce = settings.messages.announce
    wheels = ensure_published(
        cell, settings.published_store, settings.host.origin, announce=announce
    )
    excuses = [one for policy in policies for one in policy.kernels]
    found = preflight_published(cell, wheels, excuses)
    for one in found:
        announce(f"preflight: {one.title} has {one.content}")
    return found


def _verdict(
    found: CellPreflight, published: Sequence[PublishedPreflight]
) -> Literal["pass", "fail", "nothing"]:
    if not found.components and not published:
        return "nothing"
    if found.outcome is Outcome.FAIL or any(one.problems for one in published):
        return "fail"
    return "pass"


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
        for component in predicted.preflight.components
        if (name := _report_name(component))
        for one in expectations_of(json.loads(predicted.reports[name]), name)
    )


def _report_name(one: ComponentPreflight | PublishedPreflight) -> str:
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


def _recorded_wheel(one: PublishedPreflight, report: str) -> ForeseenComponent:
    assert one.component.published is not None
    return ForeseenComponent(
        component=one.component.name,
        verdict="fail" if one.problems else "pass",
        findings=len(one.problems),
        source_sha256=one.component.published.sha256,
        report=_report_name(one),
        report_sha256=hashlib.sha256(report.encode()).hexdigest(),
    )


def _loss(
    found: CellPreflight, published: Sequence[PublishedPreflight], logs: Path
) -> PredictedLossError:
    cell = found.cell
    where = f"{cell.variant} {cell.platform}"
    losses = [
        f"{where}, {one.title}: {_sentence(finding)}"
        for one in found.components
        for finding in _stopping(one)
    ]
    for one in published:
        losses += [f"{where}, {one.title}: {problem}" for problem in one.problems]
        if one.problems:
            losses.append(way_out(one.component))
    override = "" if found.outcome is Outcome.PASS else _OVERRIDE
    return PredictedLossError(
        losses,
        remedy=f"Nothing was built; the reports are {shown(logs)}/preflight-*.json.{override}",
    )


def _sentence(finding: Finding) -> str:
    return f"{finding.rule}: {finding.message} {finding.remedy or ''}".rstrip()


def _stopping(one: ComponentPreflight) -> list[Finding]:
    return [finding for finding in one.result.findings if finding.level is Level.ERROR]
