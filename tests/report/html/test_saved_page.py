"""The page of a saved report, in a real headless Chromium."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from smforge.cli.main import run
from smforge.report.build import report_of, to_json

pytestmark = pytest.mark.browser


def rendered(audit: Any, folder: Path, *, kernels: bool) -> str:
    """What ``smforge report`` makes of the audit's saved report."""
    saved, page = folder / "audit.json", folder / "page.html"
    saved.write_text(to_json(report_of(audit, kernels=kernels)))
    with pytest.raises(SystemExit) as left:
        run(["report", str(saved), "-o", f"html={page}"])
    assert left.value.code == 1
    return page.read_text(encoding="utf-8")


@pytest.fixture
def audit(make: Any) -> Any:
    lib = make.library("x.so", make.code("sm_90", "runs"), make.code("sm_80", "lacks", "runs"))
    return make.audit(lib, require="9.0")


def test_a_cell_opens_to_its_findings(audit: Any, open_report: Any, tmp_path: Path) -> None:
    opened = open_report(rendered(audit, tmp_path, kernels=False))
    cell = opened.cell("x.so", "9.0")
    assert cell.inner_text().split("\n") == ["partial", "1 missing"]
    cell.click()
    panel = opened.page.locator("#panel")
    assert "1 of 2 kernels cannot run on 9.0" in panel.locator(".note").inner_text()
    panel.locator("summary").click()
    expect(panel.locator("li")).to_have_text(["1lacks  [sm_80]"])


def test_a_library_opens_to_what_it_embeds_and_to_the_kernels_that_were_listed(
    audit: Any, open_report: Any, tmp_path: Path
) -> None:
    page = open_report(rendered(audit, tmp_path, kernels=True)).page
    page.locator("button.name").click()
    assert page.locator("#panel .stored tbody tr").count() == 2
    assert page.locator("#panel .codes").all_inner_texts() == [
        "Embedded as\nsm_80",
        "Embedded as\nsm_80\nsm_90",
    ]
    assert page.locator("#panel li a").all_inner_texts() == ["lacks", "runs"]
