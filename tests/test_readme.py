"""The README says why each dependency is there, and its links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


REQUIREMENTS = [
    *PROJECT["project"]["dependencies"],
    *PROJECT["project"]["optional-dependencies"]["build"],
]


@pytest.mark.parametrize("requirement", REQUIREMENTS)
def test_every_dependency_has_its_reason(requirement: str) -> None:
    name = re.split(r"[<>=;\s]", requirement)[0]
    rows = [line for line in README.splitlines() if line.startswith("| ")]
    assert any(re.search(rf"\b{re.escape(name)}\b", row.split("|")[1]) for row in rows)


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_every_page_can_be_reached(page: Path) -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    assert page.name == "index.md" or f"]({page.name})" in index
    assert "](docs/index.md)" in README


@pytest.mark.parametrize(
    "page", [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
)
def test_links_between_files_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_forms_for_issues_are_what_the_site_takes() -> None:
    forms = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
    schema = ("--builtin-schema", "vendor.github-issue-forms")
    command = [sys.executable, "-m", "check_jsonschema", *schema, *map(str, forms)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
