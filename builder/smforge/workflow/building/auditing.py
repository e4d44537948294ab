"""Audits what a build exported: the wheels together, and the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from smforge.errors import BuildFailedError
from smforge.inventory.probing.reading import read_folder
from smforge.plan.records import Cell
from smforge.publish.images import LAYOUT
from smforge.report.build import report_of
from smforge.report.html.audit_page import audit_page
from smforge.report.html.page import render_page
from smforge.verdict.audit import audit, audit_together
from smforge.verdict.reading import Backend
from smforge.verdict.records import Verdict
from smforge.verdict.request import AuditRequest
from smforge.workflow.audit_request import request_of
from smforge.workflow.building.look_ahead import expectations_for
from smforge.workflow.building.results import AUDIT_PAGE, CellAudit, Predicted
from smforge.workflow.building.settings import BuildSettings
from smforge.writing import write_whole

IMAGE_FACTS = "image-check"
"""The folder in which the bake target of that name writes the facts of a run of the image."""


def audit_cell(
    settings: BuildSettings, cell: Cell, directory: Path, predicted: Predicted | None
) -> CellAudit:
    """Audit what a cell exported to `directory`, against what preflight predicted.

    The HTML page of both audits is written among the logs.
    Raises `BuildFailedError` where the image is not there, and what an audit raises.
    """
    wheels = sorted(directory.rglob("*.whl"))
    request = request_of_build(cell, predicted, directory, wheels, settings.policies_of(cell))
    artefacts = audit_wheels(cell, wheels or [directory], request, settings.backend)
    image = audit_image(cell, directory, request, settings.backend)
    page = audit_page([artefacts] if image is None else [artefacts, image])
    write_whole(settings.paths(cell).logs / AUDIT_PAGE, render_page(page))
    return CellAudit(report_of(artefacts), None if image is None else report_of(image))


def audit_wheels(
    cell: Cell, subjects: Sequence[Path], request: AuditRequest, backend: Backend
) -> Verdict:
    """Audit the wheels of a cell together.

    Each provider serves its own architecture, and all of them together serve the cell's devices.
    """
    name = f"{cell.variant} {cell.platform}"
    return audit_together([str(path) for path in subjects], name, request, backend)


def audit_image(
    cell: Cell, directory: Path, request: AuditRequest, backend: Backend
) -> Verdict | None:
    """Audit the image among what a cell exported, with the facts that running it gave.

    The image must meet the same requirements as the wheels. It is not compared with what preflight
    predicted: it holds the same wheels. None where the cell makes no image. Raises
    `BuildFailedError` where it should have made one.
    """
    if cell.image is None:
        return None
    layout, facts = directory / LAYOUT, directory / IMAGE_FACTS
    for folder in (layout, facts):
        if not folder.is_dir():
            raise BuildFailedError(
                f"The build of {cell.variant} for {cell.platform} made no {folder.name}.",
                remedy=f"The target {folder.name} of docker-bake.hcl writes it below OUT_DIR.",
            )
    request = replace(request, expectations=())
    return audit(f"oci:{layout}", request, backend, probed=read_folder(facts))


def request_of_build(
    cell: Cell,
    predicted: Predicted | None,
    directory: Path,
    wheels: Sequence[Path],
    policies: Sequence[Path],
) -> AuditRequest:
    """The request for a cell's audit, from the matrix, the prediction and the policies.

    The policies are those that smforge ships and the user's, as for ``smforge audit``.
    """
    requirements = cell.requirements if predicted is None else predicted.preflight.requirements
    request = request_of(
        words=(str(requirements),),
        variant=None,
        config=None,
        driver=None,
        native=False,
        allowed=(),
        policies=policies,
        shipped=True,
    )
    if predicted is None:
        return request
    return replace(request, expectations=expectations_for(predicted, directory, wheels))
