"""Puts the stages of a build together: the matrix, the plan, the bake, and the audit after it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from smforge.bake import own_engine
from smforge.bake.host import HostSettings
from smforge.bake.progress import Progress, choose_progress
from smforge.errors import EXIT_OF_VERDICT, BuildFailedError, UsageError
from smforge.matrix.load import load
from smforge.plan.records import Cell
from smforge.plan.resolve import resolve
from smforge.policy.files import load_policy
from smforge.report.build import report_of, to_json
from smforge.report.model import Report
from smforge.report.table import render_table
from smforge.verdict.audit import audit, audit_together
from smforge.verdict.reading import Backend
from smforge.verdict.request import AuditRequest
from smforge.workflow.audit_request import request_of
from smforge.workflow.build import Workshop
from smforge.workflow.publishing import LAYOUT, complete
from smforge.workflow.results import Audited, Foreseen, Lookahead

IMAGE_FACTS = "image-check"
"""Where the target of that name puts what was found out by running the image."""


def cells_of(
    config: Path | None, variants: Sequence[str], platforms: Sequence[str]
) -> tuple[Path, tuple[Cell, ...]]:
    """The matrix file and the cells to build: the default variant's when none is named.

    Raises `UsageError` when a platform is none of those variants', and what loading raises.
    """
    matrix = load(config)
    plan = resolve(matrix, variants or (matrix.document.default,))
    offered = {cell.platform for cell in plan.cells}
    for platform in platforms:
        if platform not in offered:
            raise UsageError(
                f"None of these variants is built for {platform!r}.",
                remedy=f"They are built for {', '.join(sorted(offered))}.",
            )
    wanted = set(platforms) or offered
    return matrix.path, tuple(cell for cell in plan.cells if cell.platform in wanted)


def workshop(  # noqa: PLR0913  # one per flag
    matrix: Path,
    out: Path,
    jobs: int | None,
    backend: str,
    lookahead: str,
    *,
    policies: Sequence[Path],
    quiet: bool,
    verbose: bool,
) -> Workshop:
    """A workshop with this host's settings, preflight, the audit and a display on stderr."""

    def display(cell: Cell) -> Progress:
        return choose_progress(sys.stderr, f"{cell.variant} {cell.platform}", quiet=quiet)

    def announce(text: str) -> None:
        if not quiet:
            sys.stderr.write(f"smforge: {text}\n")

    def look_ahead(cell: Cell) -> Foreseen:
        # Imported when it is called: what is up to date needs none of it.
        from smforge.workflow.look_ahead import foresee  # noqa: PLC0415

        return foresee(shop, cell)

    def audit_cell(cell: Cell, directory: Path, foreseen: Foreseen | None) -> Audited:
        wheels = sorted(directory.rglob("*.whl"))
        request = request_of_build(cell, foreseen, directory, wheels, policies)
        audited = audit_wheels(cell, wheels or [directory], request, Backend(backend))
        return replace(audited, image=audit_image(cell, directory, request, Backend(backend)))

    def explain(text: str) -> None:
        if verbose:
            sys.stderr.write(f"+ {text}\n")

    for path in policies:
        load_policy(path)  # A wrong one is said before anything is done.
    os.environ.update(own_engine.settings(os.environ))
    shop = Workshop(
        matrix=matrix,
        out=out,
        host=HostSettings.from_environment(os.environ),
        audit=audit_cell,
        complete=complete,
        display=display,
        foresee=look_ahead,
        lookahead=Lookahead(lookahead),
        policies=tuple(policies),
        jobs=jobs,
        announce=announce,
        explain=explain,
    )
    return shop


def audit_wheels(
    cell: Cell, subjects: Sequence[Path], request: AuditRequest, backend: Backend
) -> Audited:
    """Audit what a cell exported.

    The wheels of a cell are judged together: each provider serves its own architecture, and all of
    them serve the cell's devices.
    """
    name = f"{cell.variant} {cell.platform}"
    audited = audit_together([str(path) for path in subjects], name, request, backend)
    return _audited(report_of(audited))


def audit_image(
    cell: Cell, directory: Path, request: AuditRequest, backend: Backend
) -> Audited | None:
    """Audit the image among what a cell exported, and what running it has told.

    It is held to the same requirements as the wheels. What the sources were to become is not asked
    again: the image has the same wheels. None where the cell makes no image. Raises
    `BuildFailedError` where it should have made one.
    """
    layout, facts = directory / LAYOUT, directory / IMAGE_FACTS
    if cell.image is None:
        return None
    for folder in (layout, facts):
        if not folder.is_dir():
            raise BuildFailedError(
                f"The build of {cell.variant} for {cell.platform} made no {folder.name}.",
                remedy=f"The target {folder.name} of docker-bake.hcl writes it below OUT_DIR.",
            )
    from smforge.inventory.probing.reading import read_folder  # noqa: PLC0415

    request = replace(request, expectations=())
    audited = audit(f"oci:{layout}", request, backend, probed=read_folder(facts))
    return _audited(report_of(audited))


def _audited(report: Report) -> Audited:
    return Audited(
        verdict=report.verdict,
        exit_code=EXIT_OF_VERDICT[report.verdict],
        findings=sum(finding.level == "error" for finding in report.findings),
        report=to_json(report),
        table=lambda width, color: render_table(_without_notes(report), width=width, color=color),
    )


def request_of_build(
    cell: Cell,
    foreseen: Foreseen | None,
    directory: Path,
    wheels: Sequence[Path],
    policies: Sequence[Path],
) -> AuditRequest:
    """What a cell's artefacts are judged by: the matrix, what was foreseen, the policies.

    The policies are those that smforge ships and the user's, as for ``smforge audit``.
    """
    request = request_of(
        words=(str(cell.requirements if foreseen is None else foreseen.preflight.requirements),),
        variant=None,
        config=None,
        driver=None,
        native=False,
        allowed=(),
        policies=policies,
        shipped=True,
    )
    if foreseen is None:
        return request
    from smforge.workflow.look_ahead import expectations_for  # noqa: PLC0415

    return replace(request, expectations=expectations_for(foreseen, directory, wheels))


def _without_notes(report: Report) -> Report:
    """What a person has to read after a build; the notes stay in the report beside it."""
    serious = tuple(finding for finding in report.findings if finding.level != "note")
    return replace(report, findings=serious)
