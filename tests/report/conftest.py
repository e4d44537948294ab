"""Reports of inventories written by hand, with every part that a report can have; a browser."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from smforge.arch.requirement import parse_requirements
from smforge.arch.target import Target
from smforge.inventory.cuobjdump.agreement import Comparison
from smforge.inventory.records import (
    CodeObject,
    Damage,
    FileInventory,
    Inventory,
    Kind,
    Origin,
    Region,
    Subject,
    SubjectKind,
)
from smforge.policy.excuses import Excuse
from smforge.report.build import report_of
from smforge.report.model import Report
from smforge.verdict.judge import judge
from smforge.verdict.reading import Backend, Reading
from smforge.verdict.request import AuditRequest

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
        return self.page.locator(f'button.cell[title^="{library} on {device}:"]')


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


ADD = tuple(f"_Z3addI{letter}EvPT_S0_" for letter in "ijlmfd")


def code(name: str, *kernels: str) -> CodeObject:
    kind = Kind.PTX if name.startswith("compute") else Kind.CUBIN
    isa = "9.0" if kind is Kind.PTX else None
    return CodeObject(kind, Target.parse(name), 1000, isa, "13.0", kernels=kernels)


def library(path: str, *objects: CodeObject, **others: object) -> FileInventory:
    origin = others.pop("origin", Origin.FATBIN)
    assert isinstance(origin, Origin)
    region = Region(origin, ".nv_fatbin", 0, objects, source="kernels.cu")
    digest = hashlib.sha256(path.encode()).hexdigest()
    return FileInventory(path, 5_000_000, digest, (region,), **others)  # type: ignore[arg-type]


LIBRARIES = (
    library("good.so", code("sm_120f", *ADD)),
    library("part.so", code("sm_80", *ADD, "plain"), code("sm_120", *ADD[:2])),
    library("ptx.so", code("sm_90", "plain"), code("compute_90", "plain")),
    library("hopper.so", code("sm_90a", "plain")),
    library("hidden.so", code("sm_120", "plain"), origin=Origin.EMBEDDED),
    library("odd|name`<b>&.so", code("sm_120", "odd<b>|`")),
)
DAMAGED = library("torn.so", code("sm_120", "plain"), damage=(Damage("torn.so", "torn", 3),))

MakeReport = Callable[..., Report]


@pytest.fixture(scope="session")
def make_report() -> MakeReport:
    """``make_report(*words, files=…, kernels=…)``: of LIBRARIES unless other files are given."""

    def make(
        *words: str,
        files: tuple[FileInventory, ...] = LIBRARIES,
        kernels: bool = False,
        excuses: tuple[Excuse, ...] = (),
        damaged: bool = False,
    ) -> Report:
        found = (*files, DAMAGED) if damaged else files
        subject = Subject(SubjectKind.WHEEL, "thing.whl", "sha256:" + "a" * 64, "linux/amd64")
        comparison = Comparison(len(found), 10, 30, (), ())
        reading = Reading(
            Inventory(subject, found, len(found)), Backend.BOTH, "13.5.37", comparison
        )
        terms = AuditRequest(parse_requirements(words), excuses=excuses, today=date(2026, 11, 21))
        return report_of(judge(reading, terms), kernels=kernels)

    return make


@pytest.fixture(scope="session")
def part() -> FileInventory:
    """The library that runs on 12.1 in part."""
    return LIBRARIES[1]


@pytest.fixture(scope="session")
def full_report(make_report: MakeReport) -> Report:
    """A report with findings of every level, exceptions, kernels and odd names."""
    excuse = Excuse("made for Ampere alone", "gate.toml", kernel="plain", file="part.so")
    return make_report("12.1 sm_100", kernels=True, excuses=(excuse,), damaged=True)
