"""A real browser, and audits to show in it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, sync_playwright
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
from smforge.policy.exemptions import Exemption
from smforge.report.html.audit_page import audit_page
from smforge.report.html.page import render_page
from smforge.verdict.audit import Audit, Reading, judge_reading
from smforge.verdict.request import Terms

QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""No sandbox, since the suite may run as root; and nothing that Chromium says by itself."""


@pytest.fixture(scope="session")
def chromium() -> Path:
    """Debian's Chromium, installed where it is missing and may be."""
    found = shutil.which("chromium")
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for step in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
            subprocess.run(["apt-get", "-qq", *step], check=True, env=quiet, capture_output=True)
        found = shutil.which("chromium")
    assert found, "No chromium: apt-get install --no-install-recommends chromium"
    return Path(found)


@pytest.fixture(scope="session")
def browser(chromium: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=QUIET)
        yield launched
        launched.close()


@dataclass
class Opened:
    """A report in a browser, with what the browser said and asked for meanwhile."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def go(self, fragment: str = "") -> None:
        self.page.goto("about:blank")
        self.page.goto(self.url + fragment)
        self.page.wait_for_selector("#matrix tbody tr")

    def cell(self, library: str, device: str) -> Locator:
        return self.page.locator(f'button.cell[aria-label^="{library} on {device}:"]')


OpenReport = Callable[..., Opened]


@pytest.fixture
def open_report(browser: Browser, tmp_path: Path) -> Iterator[OpenReport]:
    """Gives: write a page down, open it, and check at the end that it asked for nothing."""
    opened: list[Opened] = []

    def open_one(html: str, fragment: str = "", **context: object) -> Opened:
        file = tmp_path / "report.html"
        file.write_text(html, encoding="utf-8")
        page = browser.new_page(**context)  # type: ignore[arg-type]  # passed through
        one = Opened(page, file.as_uri())
        page.on("console", lambda message: one.complaints.append(message.text))
        page.on("pageerror", lambda error: one.complaints.append(str(error)))
        page.on("request", lambda request: one.requests.append(request.url))
        opened.append(one)
        one.go(fragment)
        return one

    yield open_one
    for one in opened:
        one.page.close()
        assert one.complaints == []
        assert {url.partition("#")[0] for url in one.requests} <= {one.url, "about:blank"}


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
        exemptions: Sequence[Exemption] = (),
    ) -> Audit:
        """Judge files as one wheel."""
        subject = Subject(SubjectKind.WHEEL, name, f"sha256:{'1' * 64}", "linux/amd64")
        terms = Terms(parse_requirements([require]), exemptions=tuple(exemptions))
        return judge_reading(Reading(Inventory(subject, files, len(files))), terms)

    def html(self, *files: FileInventory, require: str = "") -> str:
        """The page of one audit."""
        return render_page(audit_page([self.audit(*files, require=require)]))


@pytest.fixture(scope="session")
def make() -> Maker:
    return Maker()
