"""What axe-core says about every kind of page, on a desktop and on a phone, light and dark."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smforge.errors import DamagedInputError
from smforge.policy.excuses import Excuse
from smforge.report.build import report_of
from smforge.report.html.audit_page import audit_page
from smforge.report.html.page import render_page
from smforge.report.html.saved_page import saved_page
from smforge.report.preflight.page import preflight_page
from smforge.verdict.unread import unread
from tests.conftest import PINS, TOOLCHAINS

from .test_preflight_page import UNITS, preflight

pytestmark = [pytest.mark.browser, pytest.mark.network, pytest.mark.slow]


@pytest.fixture(scope="session")
def axe() -> str:
    """axe-core's script: npm fetches the package once, and its hash must be the pinned one."""
    package, integrity = PINS["axe"]["package"], PINS["axe"]["integrity"]
    kept = TOOLCHAINS / f"{package.replace('@', '-')}.js"
    if not kept.is_file():
        TOOLCHAINS.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=TOOLCHAINS) as folder:
            subprocess.run([npm(), "pack", "--silent", package], cwd=folder, check=True)
            (archive,) = Path(folder).glob("*.tgz")
            digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
            assert f"sha512-{digest}" == integrity
            made = Path(folder) / "axe.js"
            with tarfile.open(archive) as members:
                script = members.extractfile("package/axe.min.js")
                assert script is not None
                made.write_bytes(script.read())
            made.rename(kept)
    return kept.read_text(encoding="utf-8")


def npm() -> str:
    """The machine's npm, installed where it is missing and may be."""
    if shutil.which("npm") is None and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for step in (["update"], ["install", "-y", "--no-install-recommends", "npm"]):
            subprocess.run(["apt-get", "-qq", *step], check=True, env=quiet, capture_output=True)
    found = shutil.which("npm")
    assert found, "No npm: apt-get install --no-install-recommends npm"
    return found


def libraries(make: Any) -> list[Any]:
    """A library in each state on 9.0."""
    return [
        make.library("pkg/native.so", make.code("sm_90", "a")),
        make.library("pkg/ptx.so", make.code("compute_80", "a")),
        make.library("pkg/partial.so", make.code("sm_90", "a", "c"), make.code("sm_80", "b")),
        make.library("pkg/none.so", make.code("sm_80", "a")),
        make.library("pkg/foreign.so", make.code("sm_100a", "a")),
        make.library("pkg/unclear.cubin", make.code("sm_80?", "a")),
        make.library("pkg/excused.so", make.code("sm_80", "known")),
        make.library("pkg/empty.so"),
    ]


def failing(make: Any, require: str = "9.0") -> Any:
    known = Excuse("made for Ampere alone", "the test", kernel="known")
    return make.audit(*libraries(make), require=require, excuses=[known])


def passing(make: Any) -> Any:
    return make.audit(make.library("x.so", make.code("sm_90", "k")), require="9.0", name="good.whl")


def torn(make: Any) -> Any:
    return unread("torn.whl", DamagedInputError("It is cut off."), passing(make).view.request)


def several(make: Any) -> str:
    empty = make.audit(require="9.0", name="empty.whl")
    return render_page(audit_page([passing(make), failing(make), torn(make), empty]))


def without_script(html: str) -> str:
    """What a browser without JavaScript makes of a page."""
    shown = re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)
    return re.sub(r"</?noscript>", "", shown)


OPEN = "#lib=pkg%2Fpartial.so&device=9.0&family=b"
PAGES: dict[str, tuple[Callable[[Any], str], str]] = {
    "pass": (lambda make: render_page(audit_page([passing(make)])), ""),
    "fail": (lambda make: render_page(audit_page([failing(make)])), OPEN),
    "undetermined": (lambda make: render_page(audit_page([torn(make)])), ""),
    "nothing-required": (lambda make: render_page(audit_page([failing(make, "")])), OPEN),
    "library": (lambda make: render_page(audit_page([failing(make)])), "#lib=pkg%2Fpartial.so"),
    "sorted": (lambda make: render_page(audit_page([failing(make)])), "#sort=-9.0"),
    "several": (several, ""),
    "tab": (several, "#subject=some-1.0.whl&lib=pkg%2Fnone.so&device=9.0"),
    "saved": (lambda make: render_page(saved_page([report_of(failing(make))])), OPEN),
    "preflight": (lambda _: render_page(preflight_page(preflight(*UNITS))), "#device=12.1"),
    "plain": (lambda make: without_script(several(make)), ""),
}


@pytest.fixture
def findings(axe: str, make: Any, browser: Any, tmp_path: Path) -> Callable[..., list[str]]:
    """``findings(kind, width, scheme)``: what axe-core says about a page of this kind."""

    def found(kind: str, width: int, scheme: str) -> list[str]:
        html, fragment = PAGES[kind]
        file = tmp_path / "page.html"
        file.write_text(html(make), encoding="utf-8")
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.goto(file.as_uri() + fragment)
        page.evaluate(axe)
        result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        page.close()
        assert result["passes"]
        return [
            f"{one['impact']} {one['id']}: {node['html']} {node['failureSummary']}"
            for one in result["violations"]
            for node in one["nodes"]
        ]

    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("kind", PAGES)
def test_axe_finds_nothing(
    findings: Callable[..., list[str]], kind: str, width: int, scheme: str
) -> None:
    assert findings(kind, width, scheme) == []


def test_axe_finds_what_is_there(
    findings: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PAGES, "bad", (lambda _: "<title>x</title><img src=y>", ""))
    assert any(one.startswith("critical image-alt") for one in findings("bad", 1280, "light"))
