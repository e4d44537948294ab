"""``smforge explain``: what a rule means, and what to do."""

from __future__ import annotations

import re
from difflib import get_close_matches
from pathlib import Path

import click

import smforge
from smforge.errors import UsageError
from smforge.verdict.rules import RULES

_PAGE = "rules.md"
_HEADING = re.compile(r"^### `([a-z-]+)`$", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]+)\]\([^)]+\)")


@click.command("explain")
@click.argument("rule", required=False)
def command(rule: str | None) -> int:
    """Say what a rule of the audit means and what to do; without RULE, list them all.

    \b
    smforge explain kernels-missing
    """
    known = {one.id: one for one in RULES}
    if rule is None:
        width = max(map(len, known))
        for one in RULES:
            click.echo(f"{one.id:{width}}  {one.level:7}  {one.summary}")
        return 0
    if rule not in known:
        near = get_close_matches(rule, known, n=1)
        raise UsageError(
            f"There is no rule {rule!r}.",
            remedy=f"Did you mean {near[0]}?" if near else "'smforge explain' lists them.",
        )
    click.echo(f"{rule}\n\n{_LINK.sub(_words, section(rule))}")
    return 0


def section(rule: str) -> str:
    """What docs/rules.md says about a rule, as plain text in Markdown."""
    parts = _HEADING.split(page().read_text(encoding="utf-8"))
    text = dict(zip(parts[1::2], parts[2::2], strict=True))[rule]
    return re.split(r"^## ", text, flags=re.MULTILINE)[0].strip()


def page() -> Path:
    """The page of rules: beside the package where it is installed, else in the checkout."""
    package = Path(smforge.__file__).parent
    installed = package / "docs" / _PAGE
    return installed if installed.exists() else package.parents[1] / "docs" / _PAGE


def _words(link: re.Match[str]) -> str:
    return link[1]
