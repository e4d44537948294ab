"""What docs/rules.md says about each rule: for ``smforge explain`` and for the help in SARIF."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import smforge

_PAGE = "rules.md"
_HEADING = re.compile(r"^### `([a-z-]+)`$", re.MULTILINE)
_NEXT_CHAPTER = re.compile(r"^## ", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]+)\]\([^)]+\)")


@cache
def rule_sections() -> Mapping[str, str]:
    """The section of each rule in Markdown; links, which lead to other pages, are their words."""
    parts = _HEADING.split(page().read_text(encoding="utf-8"))
    texts = zip(parts[1::2], parts[2::2], strict=True)
    return {rule: _LINK.sub(_words, _NEXT_CHAPTER.split(text)[0].strip()) for rule, text in texts}


def page() -> Path:
    """The page of rules: in the package where it is installed, else in the checkout."""
    package = Path(smforge.__file__).parent
    installed = package / "docs" / _PAGE
    return installed if installed.exists() else package.parents[1] / "docs" / _PAGE


def _words(link: re.Match[str]) -> str:
    return link[1]
