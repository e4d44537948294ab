"""Audits to show in a browser."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from smforge.arch.requirement import parse_requirements
from smforge.arch.target import Suffix, Target
from smforge.inventory.records import (
    CodeObject,
    FileInventory,
    Inventory,
    Kind,
    Origin,
    Region,
    Subject,
    SubjectKind,
)
from smforge.policy.excuses import Excuse
from smforge.report.html.audit_page import audit_page
from smforge.report.html.page import render_page
from smforge.verdict.judge import judge
from smforge.verdict.reading import Reading
from smforge.verdict.records import Verdict
from smforge.verdict.request import AuditRequest


class Maker:
    """Makes audits of subjects that no compiler would: hostile names, hundreds of libraries."""

    def code(self, target: str, *kernels: str) -> CodeObject:
        """A code object: ``sm_90a`` machine code, ``compute_90`` PTX, ``sm_90?`` does not say."""
        kind = Kind.PTX if target.startswith("compute_") else Kind.CUBIN
        isa = "8.0" if kind is Kind.PTX else None
        parsed = Target.parse(target.rstrip("?"))
        if target.endswith("?"):
            parsed = parsed._replace(suffix=Suffix.UNKNOWN)
        return CodeObject(kind, parsed, 1000, isa, "13.0", kernels=kernels)

    def library(
        self, path: str, *objects: CodeObject, origin: Origin = Origin.FATBIN
    ) -> FileInventory:
        """A file with one region."""
        region = Region(origin, ".nv_fatbin", 0, objects)
        return FileInventory(path, 123_456, "0" * 64, (region,))

    def audit(
        self,
        *files: FileInventory,
        require: str = "",
        name: str = "some-1.0.whl",
        excuses: Sequence[Excuse] = (),
    ) -> Verdict:
        """Judge files as one wheel."""
        subject = Subject(SubjectKind.WHEEL, name, f"sha256:{'1' * 64}", "linux/amd64")
        terms = AuditRequest(parse_requirements([require]), excuses=tuple(excuses))
        return judge(Reading(Inventory(subject, files, len(files))), terms)

    def html(self, *files: FileInventory, require: str = "", excuses: Sequence[Excuse] = ()) -> str:
        """The page of one audit."""
        return render_page(audit_page([self.audit(*files, require=require, excuses=excuses)]))


@pytest.fixture(scope="session")
def make() -> Maker:
    return Maker()
