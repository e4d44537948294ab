"""Every rule is documented, and every rule that a check can use is registered."""

from __future__ import annotations

import re
from pathlib import Path

from smforge.findings import Rule
from smforge.verdict import rules
from smforge.verdict.data import table
from smforge.verdict.rules import RULES

DOCS = Path(__file__).parents[2] / "docs" / "rules.md"
CHECKS = Path(rules.__file__).parent


def test_the_document_describes_exactly_the_rules_there_are() -> None:
    headings = re.findall(r"^### `([a-z-]+)`", DOCS.read_text(), re.MULTILINE)
    assert headings == [rule.id for rule in RULES]


def test_the_document_gives_each_rule_its_level() -> None:
    text = DOCS.read_text()
    for rule in RULES:
        section = text.partition(f"### `{rule.id}`")[2].partition("### ")[0]
        assert f"**{rule.level}**" in section, rule.id
        assert ("undetermined" in section) is rule.undetermined, rule.id


def test_every_rule_of_the_module_is_registered_once_under_a_kebab_case_id() -> None:
    defined = [one for one in vars(rules).values() if isinstance(one, Rule)]
    assert sorted(one.id for one in defined) == sorted(one.id for one in RULES)
    assert len({one.id for one in RULES}) == len(RULES)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", one.id) for one in RULES)


def test_every_rule_is_used_by_a_check() -> None:
    sources = "".join(path.read_text() for path in CHECKS.rglob("*.py") if path.name != "rules.py")
    names = [name for name, one in vars(rules).items() if isinstance(one, Rule)]
    assert [
        name
        for name in names
        if f"{name}.finding(" not in sources
        and not re.search(rf"= {name} if|else {name}\b", sources)
    ] == []


def test_tables_name_their_sources() -> None:
    assert table("probes")["sources"]
