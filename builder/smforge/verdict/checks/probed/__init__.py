"""What follows from the facts that probes wrote inside an image or an environment."""

from __future__ import annotations

from collections.abc import Iterator

from smforge.findings import Finding
from smforge.inventory.probing.records import Probed
from smforge.verdict.checks.probed.assembling import check_assembling
from smforge.verdict.checks.probed.completeness import check_completeness
from smforge.verdict.checks.probed.extensions import check_extensions
from smforge.verdict.checks.probed.kernels import check_kernels
from smforge.verdict.checks.probed.models import check_models
from smforge.verdict.checks.probed.serving import check_serving
from smforge.verdict.views.subject import SubjectView


def check_probed(subject: SubjectView, probed: Probed) -> Iterator[Finding]:
    """Everything that is wrong, and what was examined or could not be."""
    yield from check_completeness(subject, probed)
    if probed.models is not None:
        yield from check_models(probed.models)
    if probed.extensions is not None:
        yield from check_extensions(subject, probed.extensions)
    if probed.ptxas is not None:
        yield from check_assembling(subject, probed.ptxas)
    if probed.flashinfer is not None:
        yield from check_kernels(subject, probed.flashinfer)
    if probed.serving is not None:
        yield from check_serving(probed.serving, probed.flashinfer)
