"""A builder of the small project, and reports that say what a test wants."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from smforge.report.build import report_of
from smforge.report.model import Report
from smforge.verdict.audit import audit
from smforge.verdict.request import AuditRequest
from smforge.workflow.building.build import Builder
from smforge.workflow.building.results import CellAudit
from smforge.workflow.building.settings import BuildSettings
from tests.small_project import cell, project, settings
from tests.spare_engine import start_spare_engine

__all__ = ["cell", "project", "settings", "start_spare_engine"]


@pytest.fixture
def a_report(tmp_path: Path) -> Callable[[str, str], Report]:
    """Makes a report on a subject of this name, with this verdict."""

    def make(name: str, verdict: str) -> Report:
        (tmp_path / name).mkdir(exist_ok=True)
        real = report_of(audit(str(tmp_path / name), AuditRequest()))
        subject = dataclasses.replace(real.subject, name=name)
        return dataclasses.replace(real, subject=subject, verdict=cast("Any", verdict))

    return make


AuditSays = Callable[[str], None]


@pytest.fixture
def audit_says(
    a_report: Callable[[str, str], Report], monkeypatch: pytest.MonkeyPatch
) -> AuditSays:
    """Lets every audit of a build end with this verdict: its artefacts are no GPU code."""

    def say(verdict: str) -> None:
        audited = CellAudit(a_report("artefacts", verdict))
        monkeypatch.setattr("smforge.workflow.building.auditing.audit_cell", lambda *_: audited)

    return say


@pytest.fixture
def builder(settings: BuildSettings, audit_says: AuditSays) -> Builder:
    """A builder whose audit passes all that is exported."""
    audit_says("pass")
    return Builder(settings)


@pytest.fixture
def changed(builder: Builder) -> Callable[..., Builder]:
    """The builder with other settings."""

    def change(**settings: Any) -> Builder:
        return Builder(dataclasses.replace(builder.settings, **settings))

    return change
