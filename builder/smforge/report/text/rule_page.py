"""The pages that ``smforge explain`` shows; docs/rules.md also gives SARIF its help.

The wheel brings these pages, so that messages can name them wherever smforge is installed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import smforge

PAGES: Mapping[str, str] = {
    "matrix": "the keys of versions.json",
    "policies": "the keys of policy files",
    "settings": "flags from pyproject.toml and from variables",
}
"""Pages that are shown whole, by name, and what each describes."""
_RULES = "rules"
_HEADING = re.compile(r"^### `([a-z-]+)`$", re.MULTILINE)
_NEXT_CHAPTER = re.compile(r"^## ", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]+)\]\([^)]+\)")


@cache
def rule_sections() -> Mapping[str, str]:
    """The section of each rule in Markdown; links, which lead to other pages, are their words."""
    parts = _HEADING.split(page(_RULES).read_text(encoding="utf-8"))
    texts = zip(parts[1::2], parts[2::2], strict=True)
    return {rule: _LINK.sub(_words, _NEXT_CHAPTER.split(text)[0].strip()) for rule, text in texts}


def page_text(name: str) -> str:
    """One of `PAGES` in Markdown; links, which lead to other pages, are their words."""
    return _LINK.sub(_words, page(name).read_text(encoding="utf-8").strip())


def page(name: str) -> Path:
    """The file of a page: in the package where it is installed, else in the checkout."""
    package = Path(smforge.__file__).parent
    file = Path("docs") / f"{name}.md"
    installed = package / file
    return installed if installed.exists() else package.parents[1] / file


def _words(link: re.Match[str]) -> str:
    return link[1]
