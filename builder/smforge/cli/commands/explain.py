"""``smforge explain``: what a rule means, or the findings of a saved report, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path

import click

from smforge.cli.output import print_result
from smforge.cli.saved_reports import read_reports
from smforge.errors import UsageError
from smforge.findings import Rule
from smforge.preflight.rules import RULES as PREFLIGHT_RULES
from smforge.report import finding_groups
from smforge.report.model import Report
from smforge.report.text.printable import printable
from smforge.report.text.rule_page import PAGES, page_text, rule_sections
from smforge.verdict.rules import RULES


@click.command("explain")
@click.argument("rule", required=False, metavar="[RULE | PAGE | REPORT.json]")
def command(rule: str | None) -> int:
    """Say what a rule means and what to do; without RULE, list them all.

    RULE is one of the audit or of preflight; PAGE is matrix, policies or settings, which describe
    the files that you write. Of a report that an audit saved, the rules of its errors and warnings
    are explained, each with what it found.

    \b
    smforge explain kernels-missing
    smforge explain policies
    smforge explain audit.json
    """
    known = {one.id for one in (*RULES, *PREFLIGHT_RULES)}
    if rule is None:
        tables = (
            f"smforge audit\n{_table(RULES)}",
            f"smforge preflight\n{_table(PREFLIGHT_RULES)}",
        )
        text = "\n\n".join((*tables, f"Pages\n{_pages()}"))
    elif rule in known:
        text = "\n\n".join(_meanings(rule))
    elif rule in PAGES:
        text = page_text(rule)
    elif Path(rule).is_file():
        reports = read_reports(Path(rule))
        text = "\n\n\n".join("\n\n".join(_explained(report)) for report in reports)
    else:
        near = get_close_matches(rule, {*known, *PAGES}, n=1)
        raise UsageError(
            f"There is no rule {rule!r}, and no such file.",
            remedy=f"Did you mean {near[0]}?" if near else "'smforge explain' lists them.",
        )
    print_result(text)
    return 0


def _table(rules: Sequence[Rule]) -> str:
    width = max(len(one.id) for one in rules)
    return "\n".join(f"  {one.id:{width}}  {one.level:7}  {one.summary}" for one in rules)


def _pages() -> str:
    width = max(map(len, PAGES))
    return "\n".join(f"  {name:{width}}  {content}" for name, content in PAGES.items())


def _meanings(rule: str) -> Iterator[str]:
    """What a rule means: in the audit, in preflight, or in both."""
    yield rule
    if rule in rule_sections():
        yield rule_sections()[rule]
    for one in PREFLIGHT_RULES:
        if one.id == rule:
            yield f"Of preflight: **{one.level}**. {one.summary}"


def _explained(report: Report) -> Iterator[str]:
    """The rules of the errors and warnings, the heaviest first, each explained once."""
    yield printable(f"{report.subject.name}: {report.verdict}")
    groups = [one for one in finding_groups.groups(report) if one.level != "note"]
    if not groups:
        yield "No errors and no warnings."
    for rule in dict.fromkeys(group.rule for group in groups):
        found = [line for group in groups if group.rule == rule for line in _found(group)]
        # A saved report may hold rules of another release.
        section = rule_sections().get(rule, "This release of smforge does not know this rule.")
        yield f"{rule}\n\n{section}\n\nFound:\n" + "\n".join(found)


def _found(group: finding_groups.Group) -> Iterator[str]:
    about = f" {group.about}" if group.about else ""
    yield printable(f"- {group.level}{about}: {group.told}")
    for row in group.rows:
        yield printable("    " + "  ".join(filter(None, (row.file, row.share or row.detail))))
        for family in row.families:
            yield printable(f"      {family.count:,}  {family.name}  {family.embedded}".rstrip())
    if group.remedy:
        yield printable(f"  Remedy: {group.remedy}")
